"""Too many calls, calls that take too long, stalled callers: each is refused quickly, with a reason."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from privacyplease.client import Client
from privacyplease.client.errors import DeadlineExceededError, OverloadedError
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.v1 import admin_service_pb2, admin_service_pb2_grpc, ingest_service_pb2_grpc
from privacyplease.proxy.v1 import occupancy_service_pb2 as pb
from privacyplease.proxy.v1 import occupancy_service_pb2_grpc as pb_grpc
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest
from tests.services.cells import channel_to, refusal
from tests.services.idle_calls import unsent
from tests.services.polling import eventually
from tests.services.proxy import PASSPHRASE, arrow_batch, interval
from tests.services.storage import serving

START = 1_727_740_800_000
COUNT = pb.CountRequest(interval=interval(START, START + 3_600_000))
COUNT_PATH = "/privacyplease.proxy.v1.OccupancyService/Count"
RECORD = {
    "client_mac": "aa:bb:cc:dd:ee:ff",
    "ap_name": "north door",
    "association_time": "2024-10-01T00:10:00Z",
    "session_duration": "60",
}


@contextmanager
def limited(folder: Path, **limits: Any) -> Iterator[tuple[str, grpc.Channel]]:
    """A proxy with the given limits."""
    with ExitStack() as running:
        storage = running.enter_context(serving(f"sqlite:///{folder}/cells.db"))
        proxy = Proxy(ProxySettings(Home(folder / "home"), storage.address, PASSPHRASE, **limits))
        address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
        proxy.start()
        running.callback(proxy.stop, 0)
        yield address, running.enter_context(channel_to(address))


def refused(channel: grpc.Channel) -> grpc.RpcError | None:
    """The error of a question that is sent once."""
    try:
        pb_grpc.OccupancyServiceStub(channel).Count(COUNT, timeout=10)
    except grpc.RpcError as error:
        return error
    return None


def test_a_question_beyond_the_limit_is_refused_at_once_with_a_retry_delay(tmp_path: Path) -> None:
    with limited(tmp_path, questions=2, message_seconds=60) as (_, channel), unsent(channel, COUNT_PATH, 50):
        assert eventually(lambda: refused(channel) is not None, 5)
        began = time.monotonic()
        error = refused(channel)
        assert time.monotonic() - began < 1
        assert error is not None
        code, info, _ = refusal(error)
        assert (code, info.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "ERROR_REASON_OVERLOADED")
        assert dict(info.metadata) == {"kind": "question", "limit": "2"}
        retry = error_details_pb2.RetryInfo()
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the stubs of gRPC do not say that an RpcError is a Call
        assert any(detail.Unpack(retry) for detail in status.details)
        assert retry.retry_delay.seconds == 1


def test_health_status_and_ingest_work_while_all_question_slots_are_in_use(tmp_path: Path) -> None:
    with limited(tmp_path, questions=2, message_seconds=60) as (_, channel), unsent(channel, COUNT_PATH, 50):
        assert eventually(lambda: refused(channel) is not None, 5)
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        status = admin_service_pb2_grpc.AdminServiceStub(channel).GetStatus(
            admin_service_pb2.GetStatusRequest(), timeout=5
        )
        assert status.storage.reachable
        stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
        assert [ack.accepted for ack in stub.Ingest(iter([arrow_batch("wifi", 0, [RECORD])]), timeout=20)] == [1]


def test_idle_ingest_streams_do_not_block_questions(tmp_path: Path) -> None:
    path = "/privacyplease.proxy.v1.IngestService/Ingest"
    with limited(tmp_path, streams=40, questions=2) as (_, channel), unsent(channel, path, 40):
        assert all(refused(channel) is None for _ in range(10))


def test_a_message_that_does_not_arrive_in_time_ends_the_call_and_frees_its_slot(tmp_path: Path) -> None:
    with limited(tmp_path, questions=1, message_seconds=0.5) as (_, channel), unsent(channel, COUNT_PATH, 1) as calls:
        assert eventually(calls[0].done, 5)
        code, info, _ = refusal(calls[0])
        assert (code, info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "ERROR_REASON_DEADLINE_EXCEEDED")
        assert dict(info.metadata) == {"seconds": "0.5"}
        assert refused(channel) is None


def test_the_sdk_retries_after_the_given_delay(tmp_path: Path) -> None:
    with ExitStack() as running:
        address, channel = running.enter_context(limited(tmp_path, questions=1, message_seconds=60))
        client = running.enter_context(Client(address, insecure=True))
        thread = running.enter_context(ThreadPoolExecutor(1))
        with unsent(channel, COUNT_PATH, 50):
            assert eventually(lambda: refused(channel) is not None, 5)
            with pytest.raises(OverloadedError) as raised:
                client.count(*_hour())
            assert raised.value.retry_after_s == 1.0
            answer = thread.submit(client.count, *_hour())
            time.sleep(0.3)
            assert not answer.done()
        assert answer.result() == 0


def test_an_answer_beyond_the_deadline_ends_with_a_reason(tmp_path: Path) -> None:
    with limited(tmp_path, question_seconds=0.0) as (address, channel), Client(address, insecure=True) as client:
        stub = ingest_service_pb2_grpc.IngestServiceStub(channel)
        list(stub.Ingest(iter([arrow_batch("wifi", 0, [RECORD])])))
        with pytest.raises(DeadlineExceededError) as raised:
            client.count(*_hour())
        assert raised.value.reason == "ERROR_REASON_DEADLINE_EXCEEDED"


def test_an_idle_stream_ends_after_all_batches_are_acknowledged(tmp_path: Path) -> None:
    with limited(tmp_path, idle_seconds=0.5) as (_, channel):
        over = threading.Event()

        def batches() -> Iterator[IngestRequest]:
            yield arrow_batch("wifi", 7, [RECORD])
            over.wait(30)

        stream = ingest_service_pb2_grpc.IngestServiceStub(channel).Ingest(batches())
        try:
            assert next(iter(stream)).sequence == 7
            with pytest.raises(grpc.RpcError) as caught:
                next(iter(stream))
        finally:
            over.set()
        assert refusal(caught.value)[:2] == (
            grpc.StatusCode.UNAVAILABLE,
            error_details_pb2.ErrorInfo(
                reason="ERROR_REASON_STREAM_IDLE", domain="proxy.privacyplease", metadata={"seconds": "0.5"}
            ),
        )


@pytest.mark.parametrize("octets", [b"\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\xc3\x28"])
def test_bytes_that_are_not_a_message_are_the_callers_fault(tmp_path: Path, octets: bytes) -> None:
    with limited(tmp_path) as (_, channel), pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(COUNT_PATH, None, None)(octets, timeout=10)
    code, info, fields = refusal(caught.value)
    assert (code, info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "ERROR_REASON_INVALID_REQUEST")
    assert "message" in fields


def test_health_watchers_that_connect_and_leave_do_not_stop_the_server(tmp_path: Path) -> None:
    """They used to: `HealthServicer.Watch` waited, holding a lock, for a thread that waited for the lock."""

    def watch(channel: grpc.Channel) -> None:
        for _ in range(50):
            call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20)
            next(call)
            call.cancel()

    with limited(tmp_path) as (address, channel), ThreadPoolExecutor(4) as threads, ExitStack() as open_:
        channels = [open_.enter_context(channel_to(address)) for _ in range(4)]
        list(threads.map(watch, channels))
        assert refused(channel) is None


def test_status_answers_quickly_while_the_storage_server_is_unavailable(tmp_path: Path) -> None:
    proxy = Proxy(ProxySettings(Home(tmp_path), "127.0.0.1:1", PASSPHRASE))
    address = f"127.0.0.1:{proxy.bind('127.0.0.1:0')}"
    proxy.start()
    try:
        with channel_to(address) as channel:
            began = time.monotonic()
            stub = admin_service_pb2_grpc.AdminServiceStub(channel)
            assert not stub.GetStatus(admin_service_pb2.GetStatusRequest()).storage.reachable
            assert time.monotonic() - began < 2
    finally:
        proxy.stop(0)


def _hour() -> tuple[datetime, datetime]:
    return datetime(2024, 10, 1, 0, tzinfo=UTC), datetime(2024, 10, 1, 1, tzinfo=UTC)
