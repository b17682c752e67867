"""The untrusted server, as the proxy sees it: cells in, cells out, nothing believed.

The one place where the contract with the storage server is spoken and its errors become the proxy's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from privacyplease.proxy.errors import AnswerInconsistentError, StorageRefusedError, StorageUnavailableError
from privacyplease.proxy.sealing import Cell
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as pb_grpc

MOST_MESSAGE_BYTES = 32 * 1024 * 1024
APPEND_BYTES = 4 * 1024 * 1024
PAGE_BYTES = 1024 * 1024

# Measured on MariaDB 10.11 with its defaults: two callers append faster than one, and four slower than two.
APPENDS_AT_ONCE = 2

_DEADLINE_SECONDS = 60.0
_UNAVAILABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}

# Reading is safe to repeat, and so are appending and deleting: what is there already, or gone already, is left so.
_RETRY = {
    "methodConfig": [
        {
            "name": [
                {"service": "privacyplease.storage.v1.StorageService", "method": method}
                for method in ("Append", "Select", "Measure", "Describe", "Delete")
            ],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

T = TypeVar("T")


class Size(NamedTuple):
    """How much a predicate matches: cells, and bytes of ciphertext."""

    cells: int
    bytes: int


class Append:
    """Cells on their way to the server."""

    def __init__(self, calls: list[Future[None]]) -> None:
        self._calls = calls

    def wait(self) -> None:
        """Returns when all of them are durable.

        Raises:
            StorageError: Some may not be stored.
        """
        for call in self._calls:
            call.result()


class Storage:
    """A connection to the storage server. Safe to use from many threads."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = pb_grpc.StorageServiceStub(channel)
        self._limits: pb.Limits | None = None
        self._begun: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._appends = ThreadPoolExecutor(max_workers=APPENDS_AT_ONCE, thread_name_prefix="append")

    @classmethod
    def connect(cls, address: str) -> Storage:
        """Connects without waiting; the first call finds out whether the server is there."""
        options = [
            ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
            ("grpc.service_config", json.dumps(_RETRY)),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # An append is retried only while gRPC still holds it; the default is 256 KiB.
            ("grpc.per_rpc_retry_buffer_size", 2 * APPEND_BYTES),
        ]
        return cls(grpc.insecure_channel(address, options))

    def append(self, cells: Iterable[Cell]) -> Append:
        """Sends cells to be stored, in several calls; each is atomic, and on its way while the next is being filled.

        Returns:
            What to wait for. Until then the cells may be stored in part; sending them again completes them.
        """
        return Append([self._send(chunk) for chunk in self._chunks(cells)])

    def drain(self) -> None:
        """Returns when every append that was begun before has ended, well or not."""
        with self._lock:
            begun = set(self._begun)
        wait(begun)

    def delete(self, tags: Iterable[bytes]) -> int:
        """Deletes every cell under any of the tags.

        Returns:
            How many the server says it deleted.

        Raises:
            StorageError: It may have deleted some of them. To ask again is safe.
        """
        wanted = sorted(tags)
        size = self.limits().max_tags_per_predicate
        return sum(self._delete(wanted[begin : begin + size]) for begin in range(0, len(wanted), size))

    def select(self, tags: Iterable[bytes]) -> Iterator[Sequence[pb.Cell]]:
        """The cells under any of the tags, page by page.

        Raises:
            AnswerInconsistentError: The server sent a cell that was not asked for, out of order or twice.
            StorageError: The answer broke off.
        """
        wanted = sorted(tags)
        size = self.limits().max_tags_per_predicate
        for begin in range(0, len(wanted), size):
            yield from self._pages(wanted[begin : begin + size])

    def describe(self) -> pb.DescribeResponse:
        """The server's own description of its store. Believed for display and limits alone."""
        return _call(lambda: self._stub.Describe(pb.DescribeRequest(), timeout=_DEADLINE_SECONDS))

    def limits(self) -> pb.Limits:
        """What the server takes in one call, asked for once."""
        if self._limits is None:
            limits = self.describe().limits
            if not (limits.max_tags_per_predicate and limits.max_cells_per_append):
                raise StorageRefusedError("the storage server names no limits")
            self._limits = limits
        return self._limits

    def _send(self, chunk: list[pb.Cell]) -> Future[None]:
        call = self._appends.submit(self._append, chunk)
        with self._lock:
            self._begun = {call, *(earlier for earlier in self._begun if not earlier.done())}
        return call

    def _delete(self, tags: list[bytes]) -> int:
        request = pb.DeleteRequest(predicate=pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags)))
        deleted: pb.DeleteResponse = _call(lambda: self._stub.Delete(request, timeout=_DEADLINE_SECONDS))
        return deleted.cells

    def _append(self, cells: list[pb.Cell]) -> None:
        _call(lambda: self._stub.Append(pb.AppendRequest(cells=cells), timeout=_DEADLINE_SECONDS))

    def _chunks(self, cells: Iterable[Cell]) -> Iterator[list[pb.Cell]]:
        most = self.limits().max_cells_per_append
        chunk: list[pb.Cell] = []
        size = 0
        for cell in cells:
            if chunk and (len(chunk) == most or size + len(cell.sealed) > APPEND_BYTES):
                yield chunk
                chunk, size = [], 0
            chunk.append(pb.Cell(tag=cell.tag, cell_id=cell.cell_id, sealed=cell.sealed))
            size += len(cell.sealed)
        if chunk:
            yield chunk

    def _pages(self, tags: list[bytes]) -> Iterator[Sequence[pb.Cell]]:
        asked = frozenset(tags)
        predicate = pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags))
        stream = self._stub.Select(
            pb.SelectRequest(predicate=predicate, page_bytes=PAGE_BYTES), timeout=_DEADLINE_SECONDS
        )
        last = (b"", b"")
        try:
            for page in stream:
                last = _check_page(page.cells, asked, last)
                yield page.cells
        except grpc.RpcError as error:
            _raise(error)
        finally:
            stream.cancel()  # type: ignore[no-untyped-call]


def _check_page(cells: Sequence[pb.Cell], asked: frozenset[bytes], last: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Every cell was asked for and follows the one before; so none comes twice."""
    for cell in cells:
        place = (cell.tag, cell.cell_id)
        if cell.tag not in asked:
            raise AnswerInconsistentError("the storage server sent a cell that was not asked for")
        if place <= last:
            raise AnswerInconsistentError("the storage server sent a cell twice or out of order")
        last = place
    return last


def _call(call: Callable[[], T]) -> T:
    try:
        return call()
    except grpc.RpcError as error:
        _raise(error)


def _raise(error: grpc.RpcError) -> NoReturn:
    """The proxy's error for a failed call to the server."""
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    reason = _reason(error)
    if code in _UNAVAILABLE:
        raise StorageUnavailableError("the storage server cannot be reached", storage_reason=reason) from error
    raise StorageRefusedError(
        f"the storage server refused the call: {reason or code.name}", storage_reason=reason
    ) from error


def _reason(error: grpc.RpcError) -> str:
    """The reason that the server gave, or ""."""
    status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    info = error_details_pb2.ErrorInfo()
    details: list[any_pb2.Any] = list(status.details) if status else []
    for detail in details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""
