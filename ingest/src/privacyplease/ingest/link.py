"""Whether something that a run depends on answers."""

import logging
import threading
import time

__all__ = ["Link"]

_log = logging.getLogger("privacyplease.ingest.consumer")

_FIRST_S = 0.1
_LONGEST_S = 5.0


class Link:
    """Tells when something goes away and when it is back: one line for each, however many attempts there are.

    Attributes:
        attempts: How many were in vain, over the whole run.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._why = ""
        self._since = 0.0
        self._in_vain = 0
        self.attempts = 0

    @property
    def away(self) -> bool:
        """Whether it does not answer."""
        return bool(self._why)

    def failed(self, why: str) -> float:
        """Takes note of an attempt in vain.

        Args:
            why: Goes to the log; holds no value of a record.

        Returns:
            For how many seconds to wait before the next.
        """
        with self._lock:
            if why != self._why:
                _log.warning("%s: %s; trying again", self._name, why)
            self._since = self._since if self._why else time.monotonic()
            self._why = why
            self._in_vain += 1
            self.attempts += 1
            return min(_FIRST_S * 2.0 ** min(self._in_vain - 1, 10), _LONGEST_S)

    def answered(self) -> None:
        """Takes note that it answers."""
        if not self._why:
            return
        with self._lock:
            away = time.monotonic() - self._since
            _log.info("%s: back after %.1f s and %d attempts", self._name, away, self._in_vain)
            self._why, self._in_vain = "", 0
