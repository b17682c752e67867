"""`upload` for asyncio: its threads, awaited.

It is not a second implementation over `grpc.aio`: there, a write to a stream that has just failed replaces the proxy's
status by "Internal error from Core", and the reason is lost (https://github.com/grpc/grpc/issues/36066).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeAlias, TypeVar

import grpc
import pyarrow as pa

from privacyplease.client._internal.connection.channel import open_blocking
from privacyplease.client._internal.connection.delegation import Metadata
from privacyplease.client._internal.connection.proxy_channel import ProxyChannel
from privacyplease.client._internal.ingest.retry_policy import Retry
from privacyplease.client._internal.ingest.upload import Batches, Upload
from privacyplease.client.ingestion import Ack

AsyncBatches: TypeAlias = Batches | AsyncIterable[pa.Table | pa.RecordBatch]
"""As `Batches`, or an async iterable of them."""

_Item = TypeVar("_Item")


async def async_upload(
    channel: ProxyChannel[grpc.aio.Channel],
    metadata: Metadata,
    dataset: str,
    batches: AsyncBatches,
    stall_s: float,
    retry: Retry,
) -> AsyncIterator[Ack]:
    """As `upload`, over a blocking channel of its own. It is abandoned when the caller stops iterating."""
    own_channel = channel.reopened(open_blocking)
    upload = Upload(own_channel, metadata, dataset, _in_thread(batches), stall_s, retry)
    acks = upload.acks()
    try:
        while (ack := await asyncio.to_thread(_next, acks)) is not None:
            yield ack
    finally:
        upload.abandon()
        for opened in own_channel.opened():
            opened.close()


def _in_thread(items: Iterable[_Item] | AsyncIterable[_Item]) -> Iterable[_Item]:
    """An iterable for a thread: each item of an async source is awaited in the loop that runs now."""
    return _awaited(items, asyncio.get_running_loop()) if isinstance(items, AsyncIterable) else items


def _awaited(items: AsyncIterable[_Item], loop: asyncio.AbstractEventLoop) -> Iterator[_Item]:
    source = aiter(items)
    while (item := asyncio.run_coroutine_threadsafe(_anext(source), loop).result()) is not None:
        yield item


async def _anext(source: AsyncIterator[_Item]) -> _Item | None:
    return await anext(source, None)


def _next(acks: Iterator[Ack]) -> Ack | None:
    return next(acks, None)
