"""The relay in front of a fake storage server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from attacks.relay import Relay, relaying
from attacks.trace import TracedCall, TracedCell
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc

TAGS = [bytes([number]) * 16 for number in range(4)]


class _Server(rpc.StorageServiceServicer):
    def Append(self, request: pb.AppendRequest, _context: grpc.ServicerContext) -> pb.AppendResponse:  # noqa: N802
        return pb.AppendResponse(cells=len(request.cells))

    def Select(self, request: pb.SelectRequest, _context: grpc.ServicerContext) -> Iterator[pb.SelectResponse]:  # noqa: N802
        for number, tag in enumerate(request.predicate.any_of_tags.tags):
            yield pb.SelectResponse(cells=[pb.Cell(tag=tag, sealed=bytes(100 + number))])

    def Delete(self, request: pb.DeleteRequest, context: grpc.ServicerContext) -> pb.DeleteResponse:  # noqa: N802
        context.set_trailing_metadata((("detail-bin", b"why"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now")


@pytest.fixture
def relay() -> Iterator[Relay]:
    server = grpc.server(ThreadPoolExecutor(4))
    rpc.add_StorageServiceServicer_to_server(_Server(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with relaying(f"127.0.0.1:{port}") as relay:
        yield relay
    server.stop(0).wait()


@pytest.fixture
def stub(relay: Relay) -> Iterator[rpc.StorageServiceStub]:
    with grpc.insecure_channel(relay.address) as channel:
        yield rpc.StorageServiceStub(channel)


def _any_of(*tags: bytes) -> pb.Predicate:
    return pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags))


def test_the_relay_records_what_the_server_sees_in_order(relay: Relay, stub: rpc.StorageServiceStub) -> None:
    relay.now = 5
    stub.Append(pb.AppendRequest(cells=[pb.Cell(tag=tag, sealed=bytes(50)) for tag in TAGS[:2]]))
    relay.now = 6
    list(stub.Select(pb.SelectRequest(predicate=_any_of(TAGS[2], TAGS[0]))))
    assert relay.trace().calls == [
        TracedCall(5, "Append", cells=[TracedCell(0, 50), TracedCell(1, 50)], pages=[0]),
        TracedCall(6, "Select", [2, 0], [TracedCell(2, 100), TracedCell(0, 101)], [1, 1]),
    ]


def test_the_relay_passes_answers_on_unchanged(stub: rpc.StorageServiceStub) -> None:
    assert stub.Append(pb.AppendRequest(cells=[pb.Cell(tag=TAGS[0], sealed=b"x")])).cells == 1
    pages = list(stub.Select(pb.SelectRequest(predicate=_any_of(*TAGS))))
    assert [page.cells[0].tag for page in pages] == TAGS


def test_the_relay_passes_errors_on_with_their_details(relay: Relay, stub: rpc.StorageServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as failed:
        stub.Delete(pb.DeleteRequest(predicate=_any_of(TAGS[3])))
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "not now"
    assert ("detail-bin", b"why") in failed.value.trailing_metadata()
    assert relay.trace().calls == [TracedCall(0, "Delete", [0])]


def test_the_relay_does_not_record_calls_outside_the_contract(relay: Relay) -> None:
    with grpc.insecure_channel(relay.address) as channel, pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"")
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert relay.trace().calls == []
