import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

import grpc
import pyarrow as pa
import pytest

from privacyplease.client import Ack, AsyncClient, Client, IngestSummary, Rejection, errors
from privacyplease.client._internal.parts import MAX_BYTES, MAX_ROWS, cut
from privacyplease.client._internal.window import LIMIT
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest, IngestResponse
from privacyplease.proxy.v1.ingest_service_pb2 import Rejection as RejectionMessage

Send = Callable[[Iterable[pa.Table]], list[Ack]]


def _table(number: int, rows: int = 2) -> pa.Table:
    return pa.table({"row": [f"{number}-{row}" for row in range(rows)]})


def _rows(request: IngestRequest) -> list[str]:
    return pa.ipc.open_stream(request.arrow).read_all()["row"].to_pylist()


class Store:
    """Keeps what is acknowledged; a turn of it breaks off after so many batches."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.requests: list[IngestRequest] = []

    def stream(self, break_after: int | None = None, how: Callable[..., Any] | None = None) -> Any:
        def turn(requests: Iterator[IngestRequest], context: grpc.ServicerContext) -> Iterator[IngestResponse]:
            for number, request in enumerate(requests):
                if number == break_after:
                    (how or (lambda *_: context.abort(grpc.StatusCode.UNAVAILABLE, "gone")))(requests, context)
                self.requests.append(request)
                self.rows += _rows(request)
                yield IngestResponse(sequence=request.sequence, accepted=len(_rows(request)))

        return turn


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture(params=["blocking", "async"])
def send(request: pytest.FixtureRequest, proxy: Any) -> Send:
    """Both clients must pass every test of this file."""

    def blocking(batches: Iterable[pa.Table]) -> list[Ack]:
        with Client(proxy.address, insecure=True, stall_timeout=1) as client:
            return list(client.ingest("wifi", batches))

    async def gathered(batches: Iterable[pa.Table]) -> list[Ack]:
        async with AsyncClient(proxy.address, insecure=True, stall_timeout=1) as client:
            return [ack async for ack in client.ingest("wifi", batches)]

    return blocking if request.param == "blocking" else lambda batches: asyncio.run(gathered(batches))


def test_every_batch_is_acknowledged_in_order(send: Send, proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())
    acks = send(_table(number) for number in range(20))
    assert acks == [Ack(batch=number, rows=2, accepted=2) for number in range(20)]
    assert store.rows == [f"{number}-{row}" for number in range(20) for row in range(2)]
    assert {request.dataset for request in store.requests} == {"wifi"}
    assert IngestSummary.of(acks) == IngestSummary(accepted=40, rejected=0)


def test_nothing_to_send_is_no_error(send: Send, proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())
    assert send([]) == []
    assert send([_table(0, rows=0)]) == []


def test_record_batches_are_taken_as_tables_are(send: Send, proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())
    send([pa.record_batch({"row": ["a"]})])
    assert store.rows == ["a"]


def test_a_broken_stream_is_taken_up_where_its_acknowledgements_ended(send: Send, proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream(break_after=3), store.stream(break_after=0), store.stream())
    acks = send(_table(number) for number in range(12))
    assert [ack.batch for ack in acks] == list(range(12))
    assert store.rows == [f"{number}-{row}" for number in range(12) for row in range(2)]
    assert len(proxy.requests["Ingest"]) == 3


def test_a_proxy_that_comes_back_gets_the_rest(scripts: Any, store: Store) -> None:
    proxy = scripts.proxy()
    proxy.on("Ingest", store.stream())
    server, port = scripts.serve(proxy)
    with Client(f"127.0.0.1:{port}", insecure=True) as client:
        acks = client.ingest("wifi", [_table(number) for number in range(12)])
        first = [next(acks) for _ in range(3)]
        server.stop(None).wait()
        server, _ = scripts.serve(proxy, port)
        rest = list(acks)
    server.stop(None).wait()
    assert [ack.batch for ack in first + rest] == list(range(12))
    assert set(store.rows) == {f"{number}-{row}" for number in range(12) for row in range(2)}


def test_a_refused_batch_ends_the_ingest(send: Send, proxy: Any, store: Store, scripts: Any) -> None:
    info = scripts.reason("ERROR_REASON_MALFORMED_BATCH", sequence="1")
    refuse = scripts.refuse(grpc.StatusCode.INVALID_ARGUMENT, "bad", info)
    proxy.on("Ingest", store.stream(break_after=1, how=refuse))
    with pytest.raises(errors.MalformedBatchError):
        send(_table(number) for number in range(9))
    assert store.rows == ["0-0", "0-1"]


def test_an_acknowledgement_of_something_else_is_a_fault(send: Send, proxy: Any) -> None:
    proxy.on("Ingest", lambda requests, context: iter([IngestResponse(sequence=next(requests).sequence + 1)]))
    with pytest.raises(errors.FaultError, match="expected an acknowledgement of part 0"):
        send([_table(0)])


def test_a_stream_that_ends_early_is_a_fault(send: Send, proxy: Any) -> None:
    proxy.on("Ingest", lambda requests, context: iter([]))
    with pytest.raises(errors.FaultError, match="end of the stream"):
        send([_table(0)])


def test_a_proxy_that_never_acknowledges_is_given_up(send: Send, proxy: Any) -> None:
    def silent(requests: Any, context: grpc.ServicerContext) -> Iterator[IngestResponse]:
        while context.is_active():
            time.sleep(0.05)
        yield IngestResponse()

    proxy.on("Ingest", silent)
    with pytest.raises(errors.DeadlineExceededError, match="within 1 s"):
        send([_table(0)])


def test_whoever_knows_better_decides_how_long_to_try(proxy: Any, store: Store, scripts: Any) -> None:
    fault = scripts.refuse(grpc.StatusCode.INTERNAL, "fault", scripts.reason("ERROR_REASON_INTERNAL"))
    proxy.on("Ingest", fault, fault, store.stream(break_after=1), store.stream())
    asked: list[tuple[type[Exception], int]] = []

    def patient(error: errors.PrivacyPleaseError, failures: int) -> float | None:
        asked.append((type(error), failures))
        return 0.0

    with Client(proxy.address, insecure=True) as client:
        assert len(list(client.ingest("wifi", [_table(0), _table(1)], retry=patient))) == 2
    assert asked == [(errors.InternalError, 0), (errors.InternalError, 1), (errors.ProxyUnreachableError, 0)]


def test_a_hung_stream_is_left_for_a_new_one_if_so_decided(proxy: Any, store: Store) -> None:
    left = []

    def silent(requests: Any, context: grpc.ServicerContext) -> Iterator[IngestResponse]:
        context.add_callback(lambda: left.append(True))
        while context.is_active():
            time.sleep(0.05)
        yield IngestResponse()

    proxy.on("Ingest", silent, store.stream())
    with Client(proxy.address, insecure=True, stall_timeout=0.5) as client:
        assert len(list(client.ingest("wifi", [_table(0)], retry=lambda error, failures: 0.0))) == 1
        assert left


def test_a_slow_source_is_not_a_stall(send: Send, proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())

    def slow() -> Iterator[pa.Table]:
        yield _table(0)
        time.sleep(1.5)
        yield _table(1)

    assert len(send(slow())) == 2
    assert len(proxy.requests["Ingest"]) == 1


def test_what_the_source_raises_comes_after_what_it_gave(send: Send, proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())

    def torn() -> Iterator[pa.Table]:
        yield _table(0)
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        send(torn())
    assert store.rows == ["0-0", "0-1"]


def test_the_source_is_read_only_a_few_batches_ahead(proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())
    given = []

    def counted() -> Iterator[pa.Table]:
        for number in range(50):
            given.append(number)
            yield _table(number)

    with Client(proxy.address, insecure=True) as client:
        acks = client.ingest("wifi", counted())
        next(acks)
        time.sleep(0.3)
        assert len(given) <= 1 + LIMIT + 1  # acknowledged, on the way, and the one that waits
        assert isinstance(acks, Generator)
        acks.close()
        time.sleep(0.3)
        assert len(given) <= 1 + LIMIT + 1


def test_acknowledgements_do_not_wait_for_the_source(proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())

    def slow() -> Iterator[pa.Table]:
        yield _table(0)
        time.sleep(2)
        yield _table(1)

    with Client(proxy.address, insecure=True) as client:
        begun = time.monotonic()
        next(client.ingest("wifi", slow()))
        assert time.monotonic() - begun < 1.5


def test_an_async_source_may_be_given(proxy: Any, store: Store) -> None:
    proxy.on("Ingest", store.stream())

    async def source() -> AsyncIterator[pa.Table]:
        for number in range(3):
            await asyncio.sleep(0)
            yield _table(number)

    async def send() -> list[Ack]:
        async with AsyncClient(proxy.address, insecure=True) as client:
            return [ack async for ack in client.ingest("wifi", source())]

    assert len(asyncio.run(send())) == 3


def test_large_batches_are_cut_and_their_rejections_counted_in_the_whole(send: Send, proxy: Any) -> None:
    def reject_first_row(requests: Iterator[IngestRequest], context: Any) -> Iterator[IngestResponse]:
        for request in requests:
            bad = RejectionMessage(row=0, field="mac", reason="expected a MAC address")
            yield IngestResponse(sequence=request.sequence, accepted=1, rejections=[bad])

    proxy.on("Ingest", reject_first_row)
    first, second = send([pa.table({"row": pa.array(range(MAX_ROWS + 10))})])
    assert (first.batch, first.rows, first.complete) == (0, MAX_ROWS, False)
    assert (second.batch, second.rows, second.complete) == (0, 10, True)
    assert second.rejections == (Rejection(MAX_ROWS, "mac", "expected a MAC address"),)


def test_parts_keep_both_limits_and_lose_no_row() -> None:
    table = pa.table({"text": ["x" * 40_000] * 1_000, "row": range(1_000)})
    parts = list(cut(table, 3))
    assert len(parts) > 1
    assert all(len(part.arrow) <= MAX_BYTES for part in parts)
    assert [part.complete for part in parts] == [False] * (len(parts) - 1) + [True]
    joined = pa.concat_tables(pa.ipc.open_stream(part.arrow).read_all() for part in parts)
    assert joined["row"].to_pylist() == list(range(1_000))


def test_a_record_larger_than_a_message_is_refused() -> None:
    with pytest.raises(ValueError, match="expected records of at most"):
        list(cut(pa.table({"text": ["x" * (MAX_BYTES + 1)]}), 0))
