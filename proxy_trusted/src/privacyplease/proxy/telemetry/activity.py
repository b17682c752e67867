"""Recent activity, for `GetStatus`: rates and percentiles over a window of time.

>>> activity = Activity(clock=lambda: 1_000.0)
>>> activity.ingested(StoredBatch("wifi", accepted=50, rejected=1))
>>> activity.ingestion()
Ingestion(batches=1, accepted=50, rejected=1, accepted_per_second=50.0)
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from privacyplease.proxy.clock import steady
from privacyplease.transport.call_log import FinishedCall

WINDOW_SECONDS = 300.0
MOST_KEPT = 4_096

# Over a shorter time a rate would reflect a single event.
_LEAST_SECONDS = 1.0

# Calls as float64[n, 5]: end time, duration in seconds, whether it failed, the cells and bytes opened for it.
_Ended: TypeAlias = npt.NDArray[np.float64]


class RecentCalls(NamedTuple):
    """Calls of one rpc in the window.

    Attributes:
        method: The rpc, as "PresenceService/FindSessions".
        calls: How many calls ended.
        failed: How many of them were refused or failed.
        per_second: Calls a second.
        median: Median duration in seconds.
        percentile_95: 95th percentile of the duration in seconds.
        mean_cells: Mean number of cells opened for a call.
        mean_bytes: Mean size of their ciphertext.
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


class StoredBatch(NamedTuple):
    """A durable batch.

    Attributes:
        dataset: The data set.
        accepted: How many of its records were stored.
        rejected: How many were rejected.
    """

    dataset: str
    accepted: int
    rejected: int


class Activity:
    """The calls and batches of the last five minutes. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = steady) -> None:
        """Initialises an empty record.

        Args:
            clock: Returns the time in seconds since the epoch.
        """
        self.started_at = clock()
        self._clock = clock
        self._calls: defaultdict[str, _Ended] = defaultdict(lambda: np.full((MOST_KEPT, 5), -np.inf))
        self._numbers: Counter[str] = Counter()
        self._batches: deque[tuple[float, int]] = deque(maxlen=MOST_KEPT)
        self._total = Ingestion(0, 0, 0, 0.0)
        self._lock = threading.Lock()

    def called(self, call: FinishedCall) -> None:
        """Notes a call that has ended."""
        with self._lock:
            row = self._numbers[call.method] % MOST_KEPT
            self._numbers[call.method] += 1
            self._calls[call.method][row] = self._clock(), call.seconds, call.failed, call.cells, call.bytes

    def ingested(self, batch: StoredBatch) -> None:
        """Notes a batch that has become durable."""
        with self._lock:
            self._batches.append((self._clock(), batch.accepted))
            batches, accepted, rejected, _ = self._total
            self._total = Ingestion(batches + 1, accepted + batch.accepted, rejected + batch.rejected, 0.0)

    def calls(self) -> list[RecentCalls]:
        """The calls of the window, for each rpc that had any, ascending by method."""
        with self._lock:  # held only to copy: every call needs it when it ends
            kept = {method: ended.copy() for method, ended in sorted(self._calls.items())}
        since = self._clock() - WINDOW_SECONDS
        lately = {method: ended[ended[:, 0] >= since] for method, ended in kept.items()}
        return [
            _summary(method, ended, self._seconds(float(ended[:, 0].min()), full=len(ended) == MOST_KEPT))
            for method, ended in lately.items()
            if len(ended)
        ]

    def ingestion(self) -> Ingestion:
        """What was ingested."""
        with self._lock:
            since = self._clock() - WINDOW_SECONDS
            batches = [batch for batch in self._batches if batch[0] >= since]
            oldest = batches[0][0] if batches else since
            seconds = self._seconds(oldest, full=len(batches) == MOST_KEPT)
            return self._total._replace(accepted_per_second=sum(accepted for _, accepted in batches) / seconds)

    def _seconds(self, oldest: float, *, full: bool) -> float:
        """The time that the events span: the window, or the time since the start or since the oldest event kept."""
        now = self._clock()
        since = max(self.started_at, now - WINDOW_SECONDS)
        return max(now - (oldest if full else since), _LEAST_SECONDS)


def _summary(method: str, ended: _Ended, seconds: float) -> RecentCalls:
    _, durations, failed, cells, octets = ended.T
    median, percentile_95 = np.quantile(durations, (0.5, 0.95)).tolist()
    means = float(cells.mean()), float(octets.mean())
    return RecentCalls(method, len(ended), int(failed.sum()), len(ended) / seconds, median, percentile_95, *means)
