"""Batches under way, oldest first: what bounds memory, and the order in which offsets may be committed."""

import time
from collections import deque
from collections.abc import Callable
from threading import Condition

from privacyplease.ingest.consumer.batch import Batch

__all__ = ["Flight"]


class Flight:
    """At most so many batches under way. Safe to use from many threads.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._batches: deque[Batch] = deque()
        self._changed = Condition()

    @property
    def full(self) -> bool:
        """Whether the next batch must wait."""
        return len(self._batches) >= self._most

    def add(self, batch: Batch) -> None:
        """A batch sets out."""
        with self._changed:
            self._batches.append(batch)

    def landed(self, batch: Batch) -> None:
        """Each of a batch's messages is durable."""
        with self._changed:
            batch.done = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Lets those who wait look again."""
        with self._changed:
            self._changed.notify_all()

    def finished(self) -> list[Batch]:
        """Removes and returns the batches that are done and have none before them that is not."""
        with self._changed:
            found = []
            while self._batches and self._batches[0].done:
                found.append(self._batches.popleft())
            return found

    def wait_for_room(self, seconds: float) -> bool:
        """Waits until `finished` makes room, for no longer than a time; returns whether it does."""
        return self._wait(lambda: not self.full or self._batches[0].done, seconds)

    def wait_for_all(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Waits until all are done, for no longer than a time; returns whether they are."""
        deadline = time.monotonic() + seconds
        while not self._all_done() and not given_up() and time.monotonic() < deadline:
            self._wait(self._all_done, 0.1)
        return self._all_done()

    def _all_done(self) -> bool:
        with self._changed:
            return all(batch.done for batch in self._batches)

    def _wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(holds, timeout=seconds)
