"""Calls that have begun and whose message is never sent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc


@contextmanager
def unsent(channel: grpc.Channel, path: str, calls: int) -> Iterator[list[Any]]:
    """Begins that many calls of an rpc, and cancels them at the end of the block."""
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait()
        yield from ()

    begun = [channel.stream_stream(path, None, None)(nothing()) for _ in range(calls)]
    try:
        yield begun
    finally:
        over.set()
        for call in begun:
            call.cancel()
