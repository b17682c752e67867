# Generated from _internal/aio/connection.py by scripts/blocking_client.py; do not edit.
"""Calls to the proxy: each on the current channel, with its deadline and metadata, and with the SDK's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc

from privacyplease.client._internal.connection.channel import open_blocking
from privacyplease.client._internal.connection.delegation import Metadata, on_behalf_of
from privacyplease.client._internal.connection.proxy_channel import Peer, ProxyChannel
from privacyplease.client._internal.connection.statuses import cancelled_at_end, translated
from privacyplease.client._internal.ingest.retry_policy import Retry
from privacyplease.client.ingestion import Ack

if TYPE_CHECKING:
    from privacyplease.client._internal.ingest.upload import Batches

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class Connection:
    """A connection to a proxy.

    The methods whose names begin with `long_` have no timeout: they may have to read the whole store or log, and the
    proxy ends them after a day.

    Args:
        address: The proxy's host:port.
        certificates: The folder of the client's certificate; None for plaintext.
        insecure: Whether plaintext was asked for.
        timeout: Seconds until a question is given up; None means never.
    """

    def __init__(self, address: str, certificates: Path | str | None, insecure: bool, timeout: float | None) -> None:
        self._channel = ProxyChannel(address, certificates, insecure, open_blocking)
        self._timeout = timeout
        self._metadata: Metadata = ()

    def on_behalf_of(self, person: str) -> Connection:
        """The same connection, for calls on a person's behalf."""
        connection = copy(self)
        connection._metadata = on_behalf_of(person)
        return connection

    def stub(self, service: Callable[[grpc.Channel], _Stub]) -> _Stub:
        """A stub for one call: making one takes a few microseconds, and the next call may need a new channel."""
        return service(self._channel.current())

    def answer(self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request) -> _Response:
        """The response to a request."""
        with translated(self._channel):
            return method(request, timeout=self._timeout, metadata=self._metadata)

    def long_answer(self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request) -> _Response:
        """The response to a request that may take hours."""
        with translated(self._channel):
            return method(request, metadata=self._metadata)

    def pages(self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request) -> list[_Response]:
        """All responses to a request."""
        return list(self.stream(method, request))

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> Iterator[_Response]:
        """Sends a request now; the responses are read one by one."""
        return _responses(method(request, timeout=self._timeout, metadata=self._metadata), self._channel)

    def long_stream(
        self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> Iterator[_Response]:
        """As `stream`, for a request that may take hours."""
        return _responses(method(request, metadata=self._metadata), self._channel)

    def ingest(self, dataset: str, batches: Batches, stall_timeout: float, retry: Retry) -> Iterator[Ack]:
        """Sends batches of records; yields their acknowledgements."""
        from privacyplease.client._internal.ingest.upload import upload

        return upload(self._channel, self._metadata, dataset, batches, stall_timeout, retry)

    def close(self) -> None:
        """Closes every channel; calls that still run on them fail."""
        for channel in self._channel.opened():
            channel.close()


def _responses(call: grpc.CallIterator[_Response], peer: Peer) -> Iterator[_Response]:
    with translated(peer), cancelled_at_end(call):
        yield from call
