"""A circuit breaker: no call waits for a server that is known to be unavailable (Nygard, Release It!, 2007).

>>> now = 100.0
>>> breaker = CircuitBreaker(clock=lambda: now)
>>> breaker.failed(StorageUnavailableError("unavailable"))
>>> breaker.admit()
Traceback (most recent call last):
privacyplease.proxy.errors.StorageUnavailableError: unavailable
>>> now += REST_SECONDS
>>> breaker.admit()  # one call may find out whether it is back
>>> breaker.succeeded()
>>> breaker.admit()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from privacyplease.proxy.errors import StorageError, StorageUnavailableError

# How long after a failure the next call is let through, and how long after that call another one, if its outcome is
# still unknown: longer than its retries take.
REST_SECONDS = 1.0
PROBE_SECONDS = 5.0


class CircuitBreaker:
    """Lets every call through until one fails despite its retries, then one at a time until one succeeds.

    Safe to use from many threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts closed.

        Args:
            clock: Returns the time in seconds.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._failure: StorageError | None = None
        self._next = 0.0

    def admit(self) -> None:
        """Admits a call.

        Raises:
            StorageUnavailableError: As far as is known, the server is unavailable.
        """
        with self._lock:
            if self._failure is None:
                return
            now = self._clock()
            if now < self._next:
                raise StorageUnavailableError(str(self._failure), **self._failure.metadata)
            self._next = now + PROBE_SECONDS

    def failed(self, error: StorageError) -> None:
        """Records that an admitted call failed."""
        with self._lock:
            self._failure, self._next = error, self._clock() + REST_SECONDS

    def succeeded(self) -> None:
        """Records that the server answered."""
        with self._lock:
            self._failure = None
