"""A drain: whoever changes what others rely on waits until those have left who came in before the change.

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
    """Counts nobody and holds nobody up: it knows who is inside. Safe to use from many threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: set[object] = set()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Stands around what must have ended before `clear` returns, if it began before that was called."""
        token = object()
        with self._changed:
            self._inside.add(token)
        try:
            yield
        finally:
            with self._changed:
                self._inside.discard(token)
                self._changed.notify_all()

    def clear(self) -> None:
        """Returns when all have left who were inside; those who came in since do not matter."""
        with self._changed:
            before = set(self._inside)
            self._changed.wait_for(lambda: before.isdisjoint(self._inside))
