"""Prefetching: an iterator whose next items are produced while the last one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


class _End(NamedTuple):
    """The items are exhausted, or producing one failed."""

    error: BaseException | None


def prefetched(items: Iterator[T], depth: int, end: Callable[[], Exception | None] = lambda: None) -> Iterator[T]:
    """The same items in the same order, produced by a separate thread that is at most `depth` items ahead.

    An error in producing an item is raised where the item would have come. A consumer that stops early stops the thread
    at its next item.

    Args:
        items: The items.
        depth: How many items may be ready.
        end: Polled while no item is ready. An error that it returns is raised once all items that were ready before
            are used, even while the next one is still being produced.

    >>> list(prefetched(iter("abc"), 1))
    ['a', 'b', 'c']
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    stopped = threading.Event()
    threading.Thread(target=_fill, args=(items, ready, stopped), daemon=True).start()
    try:
        while not isinstance(item := _next(ready, end), _End):
            yield item
        if item.error:
            raise item.error
    finally:
        stopped.set()


def _next(ready: queue.Queue[T | _End], end: Callable[[], Exception | None]) -> T | _End:
    while True:
        try:
            return ready.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            # In this order: an item that was ready when `end` was called is not skipped.
            if (error := end()) and ready.empty():
                return _End(error)


def _fill(items: Iterator[T], ready: queue.Queue[T | _End], stopped: threading.Event) -> None:
    try:
        for item in items:
            if not _put(item, ready, stopped):
                return
        _put(_End(None), ready, stopped)
    except BaseException as error:  # it is raised again by the consumer
        _put(_End(error), ready, stopped)


def _put(item: T | _End, ready: queue.Queue[T | _End], stopped: threading.Event) -> bool:
    while not stopped.is_set():
        try:
            ready.put(item, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False
