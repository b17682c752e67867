"""Cells, and calls that store and select them, for tests that speak the storage contract."""

from __future__ import annotations

import os
from collections.abc import Iterable

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc


def channel_to(address: str) -> grpc.Channel:
    """A channel whose messages may be as large as the server's."""
    sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    return grpc.insecure_channel(address, options=[*sizes, ("grpc.max_reconnect_backoff_ms", 500)])


def tag() -> bytes:
    """A random tag."""
    return os.urandom(16)


def cell(of: bytes | None = None, size: int = 100) -> pb.Cell:
    """A cell of random bytes, under the given tag or a random one."""
    return pb.Cell(tag=tag() if of is None else of, sealed=os.urandom(size))


def any_of(tags: Iterable[bytes]) -> pb.Predicate:
    return pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags))


def ascending(cells: Iterable[pb.Cell]) -> list[pb.Cell]:
    return sorted(cells, key=lambda one: one.tag)


def append(stub: rpc.StorageServiceStub, *cells: pb.Cell) -> int:
    return int(stub.Append(pb.AppendRequest(cells=cells)).cells)


def select(stub: rpc.StorageServiceStub, *tags: bytes) -> list[pb.Cell]:
    pages = stub.Select(pb.SelectRequest(predicate=any_of(tags)))
    return [one for page in pages for one in page.cells]


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, error_details_pb2.ErrorInfo, dict[str, str]]:
    """The code of a failed call, its `ErrorInfo`, and the violations of its fields."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the stubs of gRPC do not say that an RpcError is a Call
    assert status is not None, error
    for detail in status.details:
        detail.Unpack(info) or detail.Unpack(bad)
    return error.code(), info, {violation.field: violation.description for violation in bad.field_violations}
