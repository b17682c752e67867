"""A drain: a thread that changes shared state waits for the operations that began before the change.

>>> drain = Drain()
>>> with drain.passing():
...     pass
>>> drain.clear()
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Drain:
    """Keeps track of running operations without delaying any. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: set[object] = set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Marks the block as an operation that `clear`, if called during it, waits for."""
        token = object()
        with self._changed:
            self._running.add(token)
        try:
            yield
        finally:
            with self._changed:
                self._running.discard(token)
                self._changed.notify_all()

    def clear(self) -> None:
        """Returns when every operation that was running at the call has ended; later ones do not matter."""
        with self._changed:
            before = set(self._running)
            self._changed.wait_for(lambda: before.isdisjoint(self._running))
