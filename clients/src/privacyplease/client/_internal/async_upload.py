"""An `Upload` for asyncio: its threads, awaited.

Not a second implementation over `grpc.aio`: there, a write that meets a stream which just failed replaces the proxy's
status by "Internal error from Core" (grpcio 1.85, `_StreamRequestMixin._write`), and the reason would be lost.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TypeVar

from privacyplease.client._internal.upload import Upload
from privacyplease.client.ingestion import Ack

_Item = TypeVar("_Item")


async def acks_of(upload: Upload) -> AsyncIterator[Ack]:
    """As `Upload.acks`; whoever stops listening abandons the upload."""
    acks = upload.acks()
    try:
        while (ack := await asyncio.to_thread(_next, acks)) is not None:
            yield ack
    finally:
        upload.abandon()


def in_thread(items: Iterable[_Item] | AsyncIterable[_Item]) -> Iterable[_Item]:
    """What a thread may iterate: each item of an async source is awaited in the loop that runs now."""
    return _awaited(items, asyncio.get_running_loop()) if isinstance(items, AsyncIterable) else items


def _awaited(items: AsyncIterable[_Item], loop: asyncio.AbstractEventLoop) -> Iterator[_Item]:
    source = aiter(items)
    while (item := asyncio.run_coroutine_threadsafe(_anext(source), loop).result()) is not None:
        yield item


async def _anext(source: AsyncIterator[_Item]) -> _Item | None:
    return await anext(source, None)


def _next(acks: Iterator[Ack]) -> Ack | None:
    return next(acks, None)
