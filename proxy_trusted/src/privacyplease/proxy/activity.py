"""What the proxy has been doing lately, for `GetStatus`: rates and percentiles over a window of time.

>>> activity = Activity(clock=lambda: 1_000.0)
>>> activity.ingested(Batch("wifi", accepted=50, rejected=1, newest=1_727_769_600_000))
>>> activity.ingestion()
Ingestion(batches=1, accepted=50, rejected=1, accepted_per_second=50.0)
>>> activity.newest()
{'wifi': 1727769600000}
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from privacyplease.proxy.calls import Call

WINDOW_SECONDS = 300.0
MOST_KEPT = 4_096

# Rates over a shorter time would be those of a single event.
_LEAST_SECONDS = 1.0

T = TypeVar("T")


class RecentCalls(NamedTuple):
    """Calls of one rpc in the window.

    Attributes:
        method: The rpc, as "PresenceService/FindSessions".
        calls: How many.
        failed: How many of them were refused or failed.
        per_second: Calls a second.
        median: Seconds that half of them took at most.
        percentile_95: Seconds that 95 of 100 took at most.
        mean_cells: Cells opened for a call.
        mean_bytes: Their ciphertext.
    """

    method: str
    calls: int
    failed: int
    per_second: float
    median: float
    percentile_95: float
    mean_cells: float
    mean_bytes: float


class Ingestion(NamedTuple):
    """What was ingested since the start, and records stored a second in the window."""

    batches: int
    accepted: int
    rejected: int
    accepted_per_second: float


class Batch(NamedTuple):
    """A batch that is durable.

    Attributes:
        dataset: The data set.
        accepted: How many records of it were stored.
        rejected: How many were not.
        newest: When the last of those that were stored ends, in ms since the epoch; None if none was stored.
    """

    dataset: str
    accepted: int
    rejected: int
    newest: int | None


class Activity:
    """The calls and batches of the last five minutes. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Takes what tells the time in seconds since the epoch."""
        self.started_at = clock()
        self._clock = clock
        self._calls: defaultdict[str, deque[tuple[float, Call]]] = defaultdict(lambda: deque(maxlen=MOST_KEPT))
        self._batches: deque[tuple[float, int]] = deque(maxlen=MOST_KEPT)
        self._total = Ingestion(0, 0, 0, 0.0)
        self._newest: dict[str, int] = {}
        self._lock = threading.Lock()

    def called(self, call: Call) -> None:
        """Takes note of a call that has ended."""
        with self._lock:
            self._calls[call.method].append((self._clock(), call))

    def ingested(self, batch: Batch) -> None:
        """Takes note of a batch that is durable."""
        with self._lock:
            self._batches.append((self._clock(), batch.accepted))
            batches, accepted, rejected, _ = self._total
            self._total = Ingestion(batches + 1, accepted + batch.accepted, rejected + batch.rejected, 0.0)
            if batch.newest is not None:
                self._newest[batch.dataset] = max(batch.newest, self._newest.get(batch.dataset, batch.newest))

    def calls(self) -> list[RecentCalls]:
        """The calls of the window, for each rpc that had any, ascending by method."""
        with self._lock:
            lately = {method: self._lately(events) for method, events in sorted(self._calls.items())}
            return [
                _summary(method, [call for _, call in events], self._seconds(events, full=len(events) == MOST_KEPT))
                for method, events in lately.items()
                if events
            ]

    def ingestion(self) -> Ingestion:
        """What was ingested."""
        with self._lock:
            batches = self._lately(self._batches)
            seconds = self._seconds(batches, full=len(batches) == MOST_KEPT)
            return self._total._replace(accepted_per_second=sum(accepted for _, accepted in batches) / seconds)

    def newest(self) -> dict[str, int]:
        """When the newest record of each data set ends, in ms since the epoch, ascending by name."""
        with self._lock:
            return dict(sorted(self._newest.items()))

    def _lately(self, events: Iterable[tuple[float, T]]) -> list[tuple[float, T]]:
        since = self._clock() - WINDOW_SECONDS
        return [event for event in events if event[0] >= since]

    def _seconds(self, events: Sequence[tuple[float, object]], *, full: bool) -> float:
        """What the events are spread over: the window, or the time since the start, or since the oldest one kept."""
        now = self._clock()
        since = max(self.started_at, now - WINDOW_SECONDS)
        return max(now - (events[0][0] if full else since), _LEAST_SECONDS)


def _summary(method: str, calls: Sequence[Call], seconds: float) -> RecentCalls:
    median, percentile_95 = np.quantile([call.seconds for call in calls], (0.5, 0.95)).tolist()
    return RecentCalls(
        method,
        len(calls),
        sum(call.failed for call in calls),
        len(calls) / seconds,
        median,
        percentile_95,
        sum(call.cells for call in calls) / len(calls),
        sum(call.bytes for call in calls) / len(calls),
    )
