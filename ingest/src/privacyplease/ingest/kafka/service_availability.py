"""Whether a service that a run depends on is available."""

import logging
import math
import threading
import time
from collections.abc import Callable

__all__ = ["ServiceAvailability"]

_log = logging.getLogger("privacyplease.ingest.kafka.consumer")

_FIRST_S = 0.1
_LONGEST_S = 5.0


class ServiceAvailability:
    """Logs when a service becomes unavailable and when it is back: one line each, however many attempts there are.

    Args:
        service: Its name in the log.
        patience_s: Once it has been unavailable for so many seconds,
        give_up: this is called at each attempt that fails.

    Attributes:
        attempts: How many attempts failed, over the whole run.
    """

    def __init__(
        self, service: str, *, patience_s: float = math.inf, give_up: Callable[[], object] = lambda: None
    ) -> None:
        self._service = service
        self._patience_s = patience_s
        self._give_up = give_up
        self._lock = threading.Lock()
        self._cause = ""
        self._since = 0.0
        self._failures = 0
        self.attempts = 0

    @property
    def unavailable(self) -> bool:
        """Whether the last attempt failed."""
        return bool(self._cause)

    def failed(self, cause: str) -> float:
        """Records a failed attempt.

        Args:
            cause: Is logged; must not hold a value of a record.

        Returns:
            How many seconds to wait before the next attempt.
        """
        with self._lock:
            if cause != self._cause:
                _log.warning("%s: %s; retrying", self._service, cause)
            self._since = self._since if self._cause else time.monotonic()
            self._cause = cause
            self._failures += 1
            self.attempts += 1
            if time.monotonic() - self._since >= self._patience_s:
                self._give_up()
            return min(_FIRST_S * 2.0 ** min(self._failures - 1, 10), _LONGEST_S)

    def succeeded(self) -> None:
        """Records an attempt that succeeded."""
        if not self._cause:
            return
        with self._lock:
            seconds = time.monotonic() - self._since
            _log.info("%s: available again after %.1f s and %d attempts", self._service, seconds, self._failures)
            self._cause, self._failures = "", 0
