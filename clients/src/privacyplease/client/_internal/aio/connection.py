"""Calls to the proxy: each on the current channel, with its deadline and metadata, and with the SDK's errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc.aio

from privacyplease.client._internal.connection.channel import open_async
from privacyplease.client._internal.connection.delegation import Metadata, on_behalf_of
from privacyplease.client._internal.connection.proxy_channel import Peer, ProxyChannel
from privacyplease.client._internal.connection.statuses import cancelled_at_end, translated
from privacyplease.client._internal.ingest.retry_policy import Retry
from privacyplease.client.ingestion import Ack

if TYPE_CHECKING:
    from privacyplease.client._internal.ingest.async_upload import AsyncBatches

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class AsyncConnection:
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
        self._channel = ProxyChannel(address, certificates, insecure, open_async)
        self._timeout = timeout
        self._metadata: Metadata = ()

    def on_behalf_of(self, person: str) -> AsyncConnection:
        """The same connection, for calls on a person's behalf."""
        connection = copy(self)
        connection._metadata = on_behalf_of(person)
        return connection

    def stub(self, service: Callable[[grpc.aio.Channel], _Stub]) -> _Stub:
        """A stub for one call: making one takes a few microseconds, and the next call may need a new channel."""
        return service(self._channel.current())

    async def answer(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
    ) -> _Response:
        """The response to a request."""
        async with translated(self._channel):
            return await method(request, timeout=self._timeout, metadata=self._metadata)

    async def long_answer(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
    ) -> _Response:
        """The response to a request that may take hours."""
        async with translated(self._channel):
            return await method(request, metadata=self._metadata)

    async def pages(
        self, method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> list[_Response]:
        """All responses to a request."""
        return [page async for page in self.stream(method, request)]

    def stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> AsyncIterator[_Response]:
        """Sends a request now; the responses are read one by one."""
        return _responses(method(request, timeout=self._timeout, metadata=self._metadata), self._channel)

    def long_stream(
        self, method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> AsyncIterator[_Response]:
        """As `stream`, for a request that may take hours."""
        return _responses(method(request, metadata=self._metadata), self._channel)

    def ingest(self, dataset: str, batches: AsyncBatches, stall_timeout: float, retry: Retry) -> AsyncIterator[Ack]:
        """Sends batches of records; yields their acknowledgements."""
        from privacyplease.client._internal.ingest.async_upload import async_upload

        return async_upload(self._channel, self._metadata, dataset, batches, stall_timeout, retry)

    async def close(self) -> None:
        """Closes every channel; calls that still run on them fail."""
        for channel in self._channel.opened():
            await channel.close(grace=None)


async def _responses(call: grpc.aio.UnaryStreamCall[_Request, _Response], peer: Peer) -> AsyncIterator[_Response]:
    async with translated(peer):
        with cancelled_at_end(call):
            async for response in call:
                yield response
