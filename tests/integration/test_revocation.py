"""Rights that end while calls are open, and certificates that are revoked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pyarrow as pa
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from privacyplease.client import errors
from privacyplease.proxy.certificates.__main__ import main as certificates
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from privacyplease.proxy.v1.query_service_pb2 import QueryRequest
from privacyplease.proxy.v1.query_service_pb2_grpc import QueryServiceStub
from tests.services.cells import refusal
from tests.services.certified_proxy import CertifiedProxy, certified
from tests.services.polling import eventually
from tests.services.proxy import interval

BEGIN = datetime(2024, 10, 1, 8, tzinfo=UTC)
DAY = BEGIN, BEGIN + timedelta(hours=12)
PAGES = 65_536 * 3  # records of about ten pages

POLICY = """
approvals = "off"

[clients]
alice = { roles = ["ingest", "presence"] }
bob = { roles = ["ingest", "presence", "admin", "audit"] }
dashboard = { roles = ["presence"], may_act_for = ["*"] }
"""
REVOKED = (grpc.StatusCode.UNAUTHENTICATED, "ERROR_REASON_UNKNOWN_IDENTITY")
DENIED = (grpc.StatusCode.PERMISSION_DENIED, "ERROR_REASON_PERMISSION_DENIED")

BATCH = IngestRequest(dataset="wifi", json_lines="")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CertifiedProxy]:
    with certified(tmp_path_factory.mktemp("installation"), POLICY) as running, running.client("bob") as client:
        for _ in client.ingest("wifi", [_sessions(PAGES)]):
            pass
        yield running


@pytest.fixture
def proxy(running: CertifiedProxy) -> Iterator[CertifiedProxy]:
    """The proxy; the policy is as before at the end."""
    yield running
    running.policy.write_text(POLICY)
    assert eventually(lambda: not out_of_force(running, "alice") and datasets(running) == (), 10)


def _sessions(number: int) -> pa.Table:
    return pa.table(
        {
            "client_mac": [f"02:00:00:00:{each // 256 % 256:02x}:{each % 256:02x}" for each in range(number)],
            "ap_name": ["ap-1"] * number,
            "association_time": pa.array(
                [BEGIN + timedelta(milliseconds=each) for each in range(number)], pa.timestamp("ms", "UTC")
            ),
            "session_duration": pa.array([60_000] * number, pa.duration("ms")),
        }
    )


def fingerprint(proxy: CertifiedProxy, name: str, printed: Callable[[], str]) -> str:
    """As `privacyplease certs show --json` prints it."""
    proxy.certificate(name)
    assert certificates(["--folder", str(proxy.made.certificates.path), "show"]) == 0
    rows = {row["name"]: row for row in json.loads(printed())["certificates"]}
    return str(rows[f"clients/{name}"]["fingerprint"])


def datasets(proxy: CertifiedProxy) -> tuple[str, ...]:
    """The data sets to which the policy in force restricts alice."""
    with proxy.client("alice") as client:
        return client.whoami().datasets


def out_of_force(proxy: CertifiedProxy, name: str) -> bool:
    with proxy.client(name) as client:
        try:
            client.whoami()
        except errors.CertificateError:
            return True
    return False


def ended(call: Any) -> tuple[grpc.StatusCode, str]:
    """How a call ends that must not be answered any further."""
    with pytest.raises(grpc.RpcError) as raised:
        for _ in call:
            pass
    code, info, _ = refusal(raised.value)
    return code, info.reason


@contextmanager
def open_stream(channel: grpc.Channel) -> Iterator[tuple[Any, Callable[[IngestRequest], None]]]:
    """An ingest stream whose first batch was acknowledged, and a function that sends the next batch."""
    more, following = threading.Event(), [BATCH]

    def batches() -> Iterator[IngestRequest]:
        yield following.pop()
        more.wait(60)
        yield from following

    def send(batch: IngestRequest) -> None:
        following.append(batch)
        more.set()

    stream = IngestServiceStub(channel).Ingest(batches(), timeout=60)
    assert next(iter(stream)).accepted == 0
    try:
        yield stream, send
    finally:
        more.set()
        stream.cancel()


@pytest.mark.parametrize("named", ["", "wifi"])
def test_a_narrowed_role_ends_a_stream_at_its_next_batch(proxy: CertifiedProxy, named: str) -> None:
    with proxy.channel("alice") as channel, open_stream(channel) as (stream, send):
        proxy.policy.write_text(POLICY.replace('"ingest", "presence"] }', '"ingest"], datasets = ["bikes"] }', 1))
        assert eventually(lambda: datasets(proxy) == ("bikes",), 10)
        send(IngestRequest(dataset=named, json_lines=""))
        assert ended(stream) == DENIED


def test_a_revoked_name_is_shut_out_of_every_call(proxy: CertifiedProxy) -> None:
    proxy.policy.write_text(POLICY + '[revoked]\nnames = ["alice"]\n')
    assert eventually(lambda: out_of_force(proxy, "alice"), 10)
    with proxy.channel("alice") as channel:
        with pytest.raises(grpc.RpcError) as raised:
            HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert refusal(raised.value)[0] == grpc.StatusCode.UNAUTHENTICATED
        assert ended(IngestServiceStub(channel).Ingest(iter([BATCH]), timeout=10)) == REVOKED
    with proxy.client("dashboard") as client, pytest.raises(errors.PermissionDeniedError):
        client.on_behalf_of("alice").presence("02:00:00:00:00:01", *DAY, purpose="test")
    with proxy.client("bob") as client:
        told = {(entry.event, entry.rpc, entry.reason) for entry in client.audit_entries(who="alice")}
    assert ("refused", "IngestService/Ingest", "UNKNOWN_IDENTITY") in told


def test_a_revoked_certificate_is_shut_out_and_a_new_one_in_the_same_name_is_not(
    proxy: CertifiedProxy, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = fingerprint(proxy, "alice", lambda: capsys.readouterr().out)
    proxy.policy.write_text(POLICY + f'[revoked]\ncertificates = ["{shown}"]\n')
    assert eventually(lambda: out_of_force(proxy, "alice"), 10)
    assert not out_of_force(proxy, "bob")
    proxy.made.certificates.renew("alice", datetime.now(UTC))
    assert not out_of_force(proxy, "alice")


@pytest.mark.parametrize("by", ["name", "certificate"])
def test_an_idle_stream_ends_within_seconds_of_its_revocation(
    proxy: CertifiedProxy, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked = {
        "name": 'names = ["alice"]',
        "certificate": f'certificates = ["{fingerprint(proxy, "alice", lambda: capsys.readouterr().out)}"]',
    }
    with proxy.channel("alice") as channel, open_stream(channel) as (stream, _):
        proxy.policy.write_text(POLICY + f"[revoked]\n{revoked[by]}\n")
        assert eventually(stream.done, 5)
        assert ended(stream) == REVOKED


@pytest.mark.parametrize(
    ("policy", "end"),
    [
        (POLICY + '[revoked]\nnames = ["alice"]\n', REVOKED),
        (POLICY.replace('"ingest", "presence"] }', '"ingest"] }', 1), DENIED),
    ],
    ids=["revoked", "narrowed"],
)
def test_an_answer_ends_at_its_next_page(proxy: CertifiedProxy, policy: str, end: tuple[grpc.StatusCode, str]) -> None:
    begin = int(BEGIN.timestamp() * 1_000)
    request = QueryRequest(dataset="wifi", interval=interval(begin, begin + 3_600_000), purpose="test")
    with proxy.channel("alice") as channel:
        pages = QueryServiceStub(channel).Query(request, timeout=60)
        assert next(iter(pages)).records == PAGES
        proxy.policy.write_text(policy)
        assert eventually(lambda: not may_ask(proxy), 10)
        assert ended(pages) == end


def may_ask(proxy: CertifiedProxy) -> bool:
    """Whether alice may ask about persons."""
    with proxy.client("alice") as client:
        try:
            return "presence" in client.whoami().roles
        except errors.CertificateError:
            return False


def test_a_health_watcher_is_cut_off_within_seconds_of_its_revocation(proxy: CertifiedProxy) -> None:
    with proxy.channel("alice") as channel:
        watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        proxy.policy.write_text(POLICY + '[revoked]\nnames = ["alice"]\n')
        assert eventually(watch.done, 20)
        assert watch.code() == grpc.StatusCode.CANCELLED
