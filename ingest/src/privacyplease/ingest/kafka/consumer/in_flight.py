"""Batches in flight, oldest first: bounds memory, and keeps the order in which offsets may be committed."""

import time
from collections import deque
from collections.abc import Callable
from threading import Condition

from privacyplease.ingest.kafka.consumer.batch import MessageBatch

__all__ = ["InFlightBatches"]


class InFlightBatches:
    """A bounded queue of the batches in flight. Thread-safe.

    Args:
        limit: How many batches may be in flight.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._batches: deque[MessageBatch] = deque()
        self._changed = Condition()

    @property
    def full(self) -> bool:
        """Whether the next batch must wait."""
        return len(self._batches) >= self._limit

    def add(self, batch: MessageBatch) -> None:
        """Adds a batch that is about to be uploaded."""
        with self._changed:
            self._batches.append(batch)

    def mark_done(self, batch: MessageBatch) -> None:
        """Notes that each of a batch's messages is durable."""
        with self._changed:
            batch.done = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Wakes waiting threads, so that they check again whether to give up."""
        with self._changed:
            self._changed.notify_all()

    def pop_done(self) -> list[MessageBatch]:
        """Removes and returns the oldest batches, up to the first that is not done."""
        with self._changed:
            done = []
            while self._batches and self._batches[0].done:
                done.append(self._batches.popleft())
            return done

    def wait_for_room(self, seconds: float) -> bool:
        """Waits until `pop_done` would make room; returns whether it would."""
        return self._wait(lambda: not self.full or self._batches[0].done, seconds)

    def wait_for_all(self, seconds: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Waits until all batches are done; returns whether they are."""
        deadline = time.monotonic() + seconds
        while not self._all_done() and not given_up() and time.monotonic() < deadline:
            self._wait(self._all_done, 0.1)
        return self._all_done()

    def _all_done(self) -> bool:
        with self._changed:
            return all(batch.done for batch in self._batches)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout=seconds)
