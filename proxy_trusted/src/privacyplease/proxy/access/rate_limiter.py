"""Rate limits: how often each identity may do something, by token buckets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """A token bucket for each name, full at first. Safe to use from many threads.

    >>> rates = RateLimiter(clock=lambda: 0.0)
    >>> [rates.take("alice", per_second=0.5, burst=2) for _ in range(3)]
    [0.0, 0.0, 2.0]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and the time of that count

    def take(self, name: str, per_second: float, burst: int, count: int = 1) -> float:
        """Takes tokens, if there is one; those that are missing are owed, and delay whatever follows.

        Args:
            name: Whose bucket.
            per_second: How many tokens are added to it a second.
            burst: How many it holds at most.
            count: How many are taken.

        Returns:
            0 if they were taken; otherwise the seconds until there will be one.
        """
        with self._lock:
            now = self._clock()
            tokens, counted_at = self._buckets.get(name, (float(burst), now))
            tokens = min(float(burst), tokens + (now - counted_at) * per_second)
            granted = tokens >= 1
            self._buckets[name] = (tokens - count * granted, now)
        return 0.0 if granted else (1 - tokens) / per_second
