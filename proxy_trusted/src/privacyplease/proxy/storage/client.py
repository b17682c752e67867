"""The untrusted server, as the proxy sees it: cells in, cells out, and nothing it says is trusted.

The only place that speaks the storage contract and turns the server's errors into the proxy's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc.experimental import ChannelOptions
from grpc_status import rpc_status

from privacyplease.proxy.errors import (
    AnswerInconsistentError,
    ConfigurationError,
    StorageError,
    StorageRefusedError,
    StorageUnavailableError,
)
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.chunking import chunks
from privacyplease.proxy.storage.circuit_breaker import CircuitBreaker
from privacyplease.proxy.storage.observer import StorageObserver, observed
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as pb_grpc
from privacyplease.transport import deadline
from privacyplease.transport.keepalive import KEEPALIVE
from privacyplease.transport.loopback import require_loopback
from privacyplease.transport.reconnecting_channel import ReconnectingChannel

MOST_MESSAGE_BYTES = 32 * 1024 * 1024
# Bytes of cells in one append, unless a single cell has more.
APPEND_BYTES = 4 * 1024 * 1024
PAGE_BYTES = 1024 * 1024

# A call that takes longer has failed, however often gRPC has retried it.
DEADLINE_SECONDS = 60.0
_FULL = "the disk of the storage server's database is full; what was acknowledged is stored"
_STORE_UNAVAILABLE = "ERROR_REASON_STORE_UNAVAILABLE"  # of its contract
_UNTRUSTED = "the storage server rejected the proxy's certificate, or the proxy does not trust the server's"
_UNAVAILABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}

# Every call is safe to repeat: appending a cell that is there, or deleting one that is gone, changes nothing.
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
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}

T = TypeVar("T")


class StorageClient:
    """A connection to the storage server. Safe to use from many threads."""

    def __init__(self, channel: Callable[[], grpc.Channel]) -> None:
        """Uses the channel that the function returns.

        Args:
            channel: Returns the channel for the next call; a new one once the certificates are renewed.
        """
        self._channel = channel
        self._breaker = CircuitBreaker()
        self._limits: pb.Limits | None = None

    @classmethod
    def connect(
        cls, address: str, certificates: Path | None = None, observer: StorageObserver | None = None
    ) -> StorageClient:
        """Connects without waiting; the first call finds out whether the server is reachable.

        Args:
            address: The server's host:port.
            certificates: Folder of the proxy's certificate (`transport.credentials`); None for plaintext, which is
                allowed only on loopback.
            observer: Notified of every call, if given.

        Raises:
            ConfigurationError: The certificates cannot be used, or plaintext would leave this machine.
        """
        options = [
            ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
            ("grpc.service_config", json.dumps(_RETRY)),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            *KEEPALIVE.channel_options(),
            # gRPC retries an append only while it still buffers it; the default is 256 KiB.
            ("grpc.per_rpc_retry_buffer_size", 2 * APPEND_BYTES),
            # The calling thread reads the answer. By default each call starts a thread: a tenth of a short question.
            (ChannelOptions.SingleThreadedUnaryStream, 1),
        ]
        if certificates is None:
            require_loopback(address, ConfigurationError)

        def open_channel(credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
            if credentials is None:
                return observed(grpc.insecure_channel(address, options), observer)
            return observed(grpc.secure_channel(address, credentials, options), observer)

        return cls(ReconnectingChannel(certificates, open_channel, ConfigurationError).current)

    @property
    def _stub(self) -> pb_grpc.StorageServiceStub:
        """A stub for one call; making it takes a few microseconds.

        Raises:
            StorageUnavailableError: The server is known to be unavailable.
        """
        self._breaker.admit()
        return pb_grpc.StorageServiceStub(self._channel())

    def append(self, cells: Sequence[Cell]) -> None:
        """Stores cells durably, in one call unless it would be too large. Cells that are already there do not change.

        Raises:
            StorageError: Some or all of them may be stored. Sending them again is safe.
        """
        for chunk in chunks(cells, APPEND_BYTES, lambda cell: len(cell.sealed), self.limits().max_cells_per_append):
            self._append(chunk)

    def delete(self, tags: Iterable[Tag]) -> int:
        """Deletes the cell under each of the tags.

        Returns:
            How many the server says it deleted.

        Raises:
            StorageError: It may have deleted some of them. Deleting again is safe.
        """
        wanted = sorted(tags)
        size = self.limits().max_tags_per_predicate
        return sum(self._delete(wanted[begin : begin + size]) for begin in range(0, len(wanted), size))

    def select(self, tags: Iterable[Tag]) -> dict[Tag, Sealed]:
        """Reads the cells under the tags, completely before any of them is looked at.

        Raises:
            AnswerInconsistentError: The server sent a cell that was not asked for, out of order or twice.
            StorageError: The answer was cut short.
        """
        wanted = sorted(tags)
        size = self.limits().max_tags_per_predicate
        cells: dict[Tag, Sealed] = {}
        for begin in range(0, len(wanted), size):
            requested, last = wanted[begin : begin + size], b""
            allowed = frozenset(requested)
            with closing(self.select_unchecked(requested)) as pages:
                for page in pages:
                    last = _check_page(page, allowed, last)
                    cells |= {Tag(cell.tag): Sealed(cell.sealed) for cell in page}
        return cells

    def select_unchecked(self, tags: Sequence[Tag]) -> Generator[Sequence[pb.Cell]]:
        """Asks for the tags in one call and yields the pages as the server sends them. Nothing in them is checked.

        Raises:
            StorageError: The answer was cut short.
        """
        predicate = pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags))
        stream = self._stub.Select(
            pb.SelectRequest(predicate=predicate, page_bytes=PAGE_BYTES), timeout=deadline.within(DEADLINE_SECONDS)
        )
        if call_deadline := deadline.current():
            call_deadline.when_over(lambda: stream.cancel() and None)  # type: ignore[no-untyped-call]
        started = False  # a stream that fails after its first page was not retried
        try:
            for page in stream:
                started = True
                yield page.cells
                deadline.within(DEADLINE_SECONDS)
            self._breaker.succeeded()
        except grpc.RpcError as error:
            deadline.within(DEADLINE_SECONDS)  # the question's own deadline may have passed
            if started:
                raise _error(error) from error
            self._fail(error)
        finally:
            stream.cancel()  # type: ignore[no-untyped-call]

    def describe(self, timeout: float = DEADLINE_SECONDS) -> pb.DescribeResponse:
        """The server's own description of its store. It is trusted only for display and limits.

        Args:
            timeout: How long to wait, in seconds.
        """
        return self._call(lambda: self._stub.Describe(pb.DescribeRequest(), timeout=deadline.within(timeout)))

    def limits(self) -> pb.Limits:
        """What the server accepts in one call; asked for once."""
        if self._limits is None:
            limits = self.describe().limits
            if not (limits.max_tags_per_predicate and limits.max_cells_per_append):
                raise StorageRefusedError("expected the storage server to report its limits, got none")
            self._limits = limits
        return self._limits

    def _append(self, cells: Sequence[Cell]) -> None:
        request = pb.AppendRequest(cells=[pb.Cell(tag=cell.tag, sealed=cell.sealed) for cell in cells])
        stub = self._stub
        self._call(lambda: stub.Append(request, timeout=DEADLINE_SECONDS))

    def _delete(self, tags: list[Tag]) -> int:
        request = pb.DeleteRequest(predicate=pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags)))
        deleted: pb.DeleteResponse = self._call(lambda: self._stub.Delete(request, timeout=DEADLINE_SECONDS))
        return deleted.cells

    def _call(self, call: Callable[[], T]) -> T:
        try:
            answer = call()
        except grpc.RpcError as error:
            self._fail(error)
        self._breaker.succeeded()
        return answer

    def _fail(self, error: grpc.RpcError) -> NoReturn:
        """Raises the proxy's error, and tells the circuit breaker whether the server is reachable, if it is known."""
        failure = _error(error)
        if isinstance(failure, StorageRefusedError) or _is_full(_info(error)):
            self._breaker.succeeded()
        elif _code(error) is grpc.StatusCode.UNAVAILABLE:
            self._breaker.failed(failure)
        raise failure from error


def _check_page(cells: Sequence[pb.Cell], requested: frozenset[Tag], last: bytes) -> bytes:
    """Checks that every cell was asked for and follows the one before, so that none comes twice.

    Returns:
        The last tag.
    """
    for cell in cells:
        if cell.tag not in requested:
            raise AnswerInconsistentError("the storage server sent a cell that was not asked for")
        if cell.tag <= last:
            raise AnswerInconsistentError("the storage server sent a cell twice or out of order")
        last = cell.tag
    return last


def _error(error: grpc.RpcError) -> StorageError:
    """The proxy's error for a failed call to the server."""
    code, info = _code(error), _info(error)
    reason = str(info.reason)
    if _is_full(info):
        return StorageUnavailableError(_FULL, storage_reason=reason)
    if code in _UNAVAILABLE:
        message = _UNTRUSTED if _is_tls_failure(error) else "the storage server cannot be reached"
        return StorageUnavailableError(message, storage_reason=reason)
    return StorageRefusedError(f"the storage server refused the call: {reason or code.name}", storage_reason=reason)


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    return code


def _is_tls_failure(error: grpc.RpcError) -> bool:
    """Whether TLS failed, as far as can be told.

    gRPC reports every such failure as UNAVAILABLE and says more only in the details: "Tls handshake failed" if we do
    not trust the other end, "Hostname Verification Check failed" if its certificate has other names. Under TLS 1.3 the
    other end checks our certificate last, and closes the connection without an alert if it rejects it.
    """
    details = (error.details() if isinstance(error, grpc.Call) else None) or ""
    ours = "Tls handshake failed" in details or "Hostname Verification Check failed" in details
    return ours or ("failed to connect" in details and details.endswith("Socket closed"))


def _is_full(info: error_details_pb2.ErrorInfo) -> bool:
    """Whether the server is reachable, and has no room for what it was sent."""
    return bool(info.reason == _STORE_UNAVAILABLE and info.metadata.get("full") == "1")


def _info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    """Why the server failed, in its words; empty if it gave no reason, or if what it sent cannot be read."""
    info = error_details_pb2.ErrorInfo()
    try:
        status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
        details: list[any_pb2.Any] = list(status.details) if status else []
        if any(detail.Unpack(info) for detail in details):
            return info
    except (ValueError, DecodeError):
        pass
    return error_details_pb2.ErrorInfo()
