"""A NAT or a load balancer forgets a connection without a word; new connections work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pyarrow as pa
import pytest

from privacyplease.client import AsyncClient, Client
from privacyplease.client._internal.connection import channel
from privacyplease.client._internal.ingest.chunking import MAX_BYTES
from privacyplease.proxy.v1.ingest_service_pb2 import IngestResponse
from privacyplease.proxy.v1.occupancy_service_pb2 import CountResponse
from privacyplease.transport.keepalive import KEEPALIVE
from tests.services.forgetful_nat import ForgetfulNat, nat_before

DAY = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 2, tzinfo=UTC)
# Far beyond the keepalive of these tests, and so what a call takes if the connection's death is not noticed.
DEADLINE_S = 30.0
SOON_S = 10.0


@pytest.fixture
def nat(proxy: Any, scripts: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgetfulNat]:
    monkeypatch.setattr(channel, "KEEPALIVE", scripts.brief_keepalive)
    proxy.on("Count", lambda *_: CountResponse(distinct_devices=7))
    with nat_before(proxy.address) as nat:
        yield nat


@pytest.fixture(params=["blocking", "async"])
def count_twice(request: pytest.FixtureRequest) -> Callable[[str, Callable[[], None]], list[int]]:
    """Asks, lets something happen, and asks again with the same client."""

    def blocking(address: str, between: Callable[[], None]) -> list[int]:
        with Client(address, insecure=True, timeout=DEADLINE_S) as client:
            first = client.count(*DAY)
            between()
            return [first, client.count(*DAY)]

    async def gathered(address: str, between: Callable[[], None]) -> list[int]:
        async with AsyncClient(address, insecure=True, timeout=DEADLINE_S) as client:
            first = await client.count(*DAY)
            between()
            return [first, await client.count(*DAY)]

    return blocking if request.param == "blocking" else lambda *arguments: asyncio.run(gathered(*arguments))


def test_a_question_on_a_dead_connection_is_answered_over_a_new_one(
    nat: ForgetfulNat, count_twice: Callable[[str, Callable[[], None]], list[int]]
) -> None:
    began = time.monotonic()
    assert count_twice(nat.address, nat.forget) == [7, 7]
    assert time.monotonic() - began < SOON_S
    assert len(nat.connections) == 2


@pytest.mark.parametrize("size", [1, MAX_BYTES - 1024], ids=["small", "more than the connection buffers"])
def test_an_ingest_on_a_dead_connection_continues_over_a_new_one(nat: ForgetfulNat, proxy: Any, size: int) -> None:
    def acknowledge(requests: Iterator[Any], _: Any) -> Iterator[IngestResponse]:
        for request in requests:
            yield IngestResponse(sequence=request.sequence, accepted=1)

    def batches() -> Iterator[pa.Table]:
        yield pa.table({"row": ["first"]})
        acknowledged.wait()
        nat.forget()
        yield pa.table({"row": ["x" * size]})

    acknowledged = Event()
    proxy.on("Ingest", acknowledge)
    began, accepted = time.monotonic(), 0
    with Client(nat.address, insecure=True, stall_timeout=DEADLINE_S) as client:
        for ack in client.ingest("wifi", batches()):
            accepted += ack.accepted
            acknowledged.set()
    assert accepted == 2
    assert time.monotonic() - began < SOON_S


def test_the_keepalive_notices_a_dead_connection_before_the_deadline_of_a_question() -> None:
    assert KEEPALIVE.interval_s + KEEPALIVE.answer_s < DEADLINE_S
