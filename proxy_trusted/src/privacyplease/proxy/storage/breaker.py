"""Nobody waits for a server that is known to be away: a circuit breaker (Nygard, Release It!, 2007).

>>> now = 100.0
>>> breaker = Breaker(clock=lambda: now)
>>> breaker.failed(StorageUnavailableError("away"))
>>> breaker.admit()
Traceback (most recent call last):
privacyplease.proxy.errors.StorageUnavailableError: away
>>> now += REST_SECONDS
>>> breaker.admit()  # one may see whether it is back
>>> breaker.succeeded()
>>> breaker.admit()
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from privacyplease.proxy.errors import StorageError, StorageUnavailableError

# From a failure to the next call that is let through, and from that one to another if nothing was heard of it: longer
# than its retries take.
REST_SECONDS = 1.0
PROBE_SECONDS = 5.0


class Breaker:
    """Lets every call through until one has failed in spite of its retries, then one at a time until one succeeds.

    Safe to use from many threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Takes what tells the time in seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failure: StorageError | None = None
        self._next = 0.0

    def admit(self) -> None:
        """Lets a call be made.

        Raises:
            StorageUnavailableError: The server is away, as far as is known.
        """
        with self._lock:
            if self._failure is None:
                return
            now = self._clock()
            if now < self._next:
                raise StorageUnavailableError(str(self._failure), **self._failure.metadata)
            self._next = now + PROBE_SECONDS

    def failed(self, error: StorageError) -> None:
        """A call that was let through has failed."""
        with self._lock:
            self._failure, self._next = error, self._clock() + REST_SECONDS

    def succeeded(self) -> None:
        """The server has answered."""
        with self._lock:
            self._failure = None
