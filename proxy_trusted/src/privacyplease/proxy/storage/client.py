"""The untrusted server, as the proxy sees it: cells in, cells out, nothing believed.

The one place where the contract with the storage server is spoken and its errors become the proxy's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2
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
from privacyplease.proxy.storage.breaker import Breaker
from privacyplease.proxy.storage.calls import StorageObserver, observed
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.parts import parts
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as pb_grpc
from privacyplease.transport import deadline
from privacyplease.transport.loopback import require_loopback
from privacyplease.transport.reconnecting_channel import ReconnectingChannel

MOST_MESSAGE_BYTES = 32 * 1024 * 1024
# Cells in one append, unless a single one has more.
APPEND_BYTES = 4 * 1024 * 1024
PAGE_BYTES = 1024 * 1024

# After this a call has failed, whatever gRPC tried in between.
DEADLINE_SECONDS = 60.0
_UNTRUSTING = "the storage server did not accept the proxy's certificate, or is not one that the proxy trusts"
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
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}

T = TypeVar("T")


class Storage:
    """A connection to the storage server. Safe to use from many threads."""

    def __init__(self, channel: Callable[[], grpc.Channel]) -> None:
        """Takes what gives the channel for the next call, which is another one once the certificates are renewed."""
        self._channel = channel
        self._breaker = Breaker()
        self._limits: pb.Limits | None = None

    @classmethod
    def connect(
        cls, address: str, certificates: Path | None = None, observer: StorageObserver | None = None
    ) -> Storage:
        """Connects without waiting; the first call finds out whether the server is there.

        Args:
            address: The server's host:port.
            certificates: Folder of the proxy's certificate (`transport.credentials`); None for plaintext on loopback.
            observer: Is told of every call, if there is one.

        Raises:
            ConfigurationError: The certificates cannot be used, or plaintext would leave this machine.
        """
        options = [
            ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
            ("grpc.service_config", json.dumps(_RETRY)),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # An append is retried only while gRPC still holds it; the default is 256 KiB.
            ("grpc.per_rpc_retry_buffer_size", 2 * APPEND_BYTES),
            # Answers are read by the thread that asks. By default each call starts one: a tenth of a short question.
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
        """For one call: making it takes a few microseconds.

        Raises:
            StorageUnavailableError: The server is known to be away.
        """
        self._breaker.admit()
        return pb_grpc.StorageServiceStub(self._channel())

    def append(self, cells: Sequence[Cell]) -> None:
        """Stores cells durably, in one call unless that would be too large. What is there already is left as it is.

        Raises:
            StorageError: Some of them may be stored, or all. To send them again is safe.
        """
        for part in parts(cells, APPEND_BYTES, lambda cell: len(cell.sealed), self.limits().max_cells_per_append):
            self._append(part)

    def delete(self, tags: Iterable[Tag]) -> int:
        """Deletes the cell under each of the tags.

        Returns:
            How many the server says it deleted.

        Raises:
            StorageError: It may have deleted some of them. To ask again is safe.
        """
        wanted = sorted(tags)
        size = self.limits().max_tags_per_predicate
        return sum(self._delete(wanted[begin : begin + size]) for begin in range(0, len(wanted), size))

    def select(self, tags: Iterable[Tag]) -> dict[Tag, Sealed]:
        """The cells under the tags, read whole before anything of them is looked at.

        Raises:
            AnswerInconsistentError: The server sent a cell that was not asked for, out of order or twice.
            StorageError: The answer broke off.
        """
        wanted = sorted(tags)
        size = self.limits().max_tags_per_predicate
        found: dict[Tag, Sealed] = {}
        for begin in range(0, len(wanted), size):
            part, last = wanted[begin : begin + size], b""
            asked = frozenset(part)
            with closing(self.as_sent(part)) as pages:
                for page in pages:
                    last = _check_page(page, asked, last)
                    found |= {Tag(cell.tag): Sealed(cell.sealed) for cell in page}
        return found

    def as_sent(self, tags: Sequence[Tag]) -> Generator[Sequence[pb.Cell]]:
        """What the server sends when it is asked for these tags in one call. Nothing of it is checked.

        Raises:
            StorageError: The answer broke off.
        """
        predicate = pb.Predicate(any_of_tags=pb.AnyOfTags(tags=tags))
        stream = self._stub.Select(
            pb.SelectRequest(predicate=predicate, page_bytes=PAGE_BYTES), timeout=deadline.within(DEADLINE_SECONDS)
        )
        if asking := deadline.current():
            asking.when_over(lambda: stream.cancel() and None)  # type: ignore[no-untyped-call]
        came = False  # what breaks off in the middle was not tried again
        try:
            for page in stream:
                came = True
                yield page.cells
                deadline.within(DEADLINE_SECONDS)
            self._breaker.succeeded()
        except grpc.RpcError as error:
            deadline.within(DEADLINE_SECONDS)  # it may be the question's own time that is over
            if came:
                raise _error(error) from error
            self._fail(error)
        finally:
            stream.cancel()  # type: ignore[no-untyped-call]

    def describe(self, timeout: float = DEADLINE_SECONDS) -> pb.DescribeResponse:
        """The server's own description of its store, within seconds. Believed for display and limits alone."""
        return self._call(lambda: self._stub.Describe(pb.DescribeRequest(), timeout=deadline.within(timeout)))

    def limits(self) -> pb.Limits:
        """What the server takes in one call, asked for once."""
        if self._limits is None:
            limits = self.describe().limits
            if not (limits.max_tags_per_predicate and limits.max_cells_per_append):
                raise StorageRefusedError("the storage server names no limits")
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
        """Raises the proxy's error, and tells the breaker whether the server was there, if that is known."""
        failure = _error(error)
        if isinstance(failure, StorageRefusedError):
            self._breaker.succeeded()
        elif _code(error) is grpc.StatusCode.UNAVAILABLE:
            self._breaker.failed(failure)
        raise failure from error


def _check_page(cells: Sequence[pb.Cell], asked: frozenset[Tag], last: bytes) -> bytes:
    """Every cell was asked for and follows the one before; so none comes twice. Returns the last tag."""
    for cell in cells:
        if cell.tag not in asked:
            raise AnswerInconsistentError("the storage server sent a cell that was not asked for")
        if cell.tag <= last:
            raise AnswerInconsistentError("the storage server sent a cell twice or out of order")
        last = cell.tag
    return last


def _error(error: grpc.RpcError) -> StorageError:
    """The proxy's error for a failed call to the server."""
    code, reason = _code(error), _reason(error)
    if code in _UNAVAILABLE:
        why = _UNTRUSTING if _is_untrusting(error) else "the storage server cannot be reached"
        return StorageUnavailableError(why, storage_reason=reason)
    return StorageRefusedError(f"the storage server refused the call: {reason or code.name}", storage_reason=reason)


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    return code


def _is_untrusting(error: grpc.RpcError) -> bool:
    """Whether TLS failed, as far as can be told.

    gRPC says it in words alone, and all of it as UNAVAILABLE: "Tls handshake failed" if it is we who do not trust.
    Under TLS 1.3 the other end checks our certificate last, and closes without a word if it does not accept it.
    """
    words = (error.details() if isinstance(error, grpc.Call) else None) or ""
    return "Tls handshake failed" in words or ("failed to connect" in words and words.endswith("Socket closed"))


def _reason(error: grpc.RpcError) -> str:
    """The reason that the server gave, or ""."""
    status = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    info = error_details_pb2.ErrorInfo()
    details: list[any_pb2.Any] = list(status.details) if status else []
    for detail in details:
        if detail.Unpack(info):
            return str(info.reason)
    return ""
