"""How the SDK reads the proxy's messages while a store is verified."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from privacyplease.client import AsyncClient, Client, Finding, VerificationProgress, errors
from privacyplease.proxy.v1 import verification_service_pb2 as pb

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)


def _events() -> list[pb.VerifyResponse]:
    finding = pb.VerificationFinding(dataset="wifi", group="core", missing=1, damaged=2)
    finding.first_start.FromDatetime(DAY[0])
    finding.last_start.FromDatetime(DAY[1])
    return [
        pb.VerifyResponse(progress=pb.VerificationProgress(tags=12, tags_total=24, cells=5)),
        pb.VerifyResponse(finding=finding),
        pb.VerifyResponse(progress=pb.VerificationProgress(tags=24, tags_total=24, cells=9)),
        pb.VerifyResponse(summary=pb.VerificationSummary(tags=24, cells=9, missing=1, damaged=2)),
    ]


def test_findings_and_progress_are_reported(proxy: Any, client: Client) -> None:
    proxy.on("Verify", lambda request, context: iter(_events()))
    reports: list[VerificationProgress] = []
    verification = client.verify(on_progress=reports.append)
    assert reports == [VerificationProgress(12, 24, 5, 0), VerificationProgress(24, 24, 9, 1)]
    assert verification.findings == (Finding("wifi", "core", *DAY, 1, 0, 2),)
    assert (verification.sound, verification.tags, verification.cells) == (False, 24, 9)
    assert (verification.missing, verification.unexpected, verification.damaged) == (1, 0, 2)


def test_a_missing_start_or_end_leaves_the_interval_open(proxy: Any, client: Client) -> None:
    proxy.on("Verify", lambda request, context: iter(_events()))
    client.verify()
    client.verify(start=DAY[0], dataset="wifi")
    client.verify(end=DAY[1])
    everything, since, until = proxy.requests["Verify"]
    assert (everything.HasField("interval"), everything.dataset) == (False, "")
    assert since.interval.start.ToDatetime(UTC) == DAY[0]
    assert since.interval.end.ToDatetime(UTC) > datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
    assert since.dataset == "wifi"
    assert until.interval.start.ToDatetime(UTC) == datetime(1970, 1, 1, tzinfo=UTC)
    assert until.interval.end.ToDatetime(UTC) == DAY[1]


def test_a_stream_without_a_summary_is_a_fault(proxy: Any, client: Client) -> None:
    proxy.on("Verify", lambda request, context: iter(_events()[:-1]))
    with pytest.raises(errors.FaultError, match="summary"):
        client.verify()


def test_verification_has_no_timeout(proxy: Any) -> None:
    def patient(_request: Any, context: Any) -> Any:
        assert context.time_remaining() is None or context.time_remaining() > timedelta(days=365).total_seconds()
        return iter(_events())

    proxy.on("Verify", patient)
    with Client(proxy.address, insecure=True, timeout=0.5) as client:
        assert client.verify().cells == 9


def test_the_async_client_gives_the_same_result(proxy: Any, client: Client) -> None:
    proxy.on("Verify", lambda request, context: iter(_events()))

    async def ask() -> Any:
        async with AsyncClient(proxy.address, insecure=True) as client:
            return await client.verify(*DAY)

    assert asyncio.run(ask()) == client.verify(*DAY)
