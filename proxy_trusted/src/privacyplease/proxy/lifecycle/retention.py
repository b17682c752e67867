"""Retention: erases what data sets do not retain any longer, and finishes interrupted work."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from privacyplease.proxy import clock
from privacyplease.proxy.errors import ProxyError
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.records.dataset import Dataset

_log = logging.getLogger(__name__)

# More than a time service corrects gradually.
_JUMP_S = 60


class Retention:
    """Runs at start and then once an hour, in a thread of its own; every 15 s while an erasure is unfinished."""

    PERIOD_SECONDS = 3_600.0
    RETRY_SECONDS = 15.0

    def __init__(
        self, datasets: Mapping[str, Dataset], eraser: EpochEraser, finish: Sequence[Callable[[], object]] = ()
    ) -> None:
        """Initialises the thread.

        Args:
            datasets: The data sets.
            eraser: Erases epochs.
            finish: What else finishes interrupted work: `FlushRecovery.finish`, `KeyRenewal.finish`.
        """
        self._datasets = datasets
        self._eraser = eraser
        self._finish = [eraser.finish, *finish]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Starts the thread, and with it the first round."""
        self._thread.start()

    def stop(self) -> None:
        """Starts no further round. A running one may be interrupted, as by a crash."""
        self._stopped.set()

    def round(self, now: int) -> None:
        """Finishes interrupted work, and erases every epoch that ended longer ago than its data set retains.

        A step that fails does not keep the others from running.

        Args:
            now: The time, in ms since 1970.
        """
        steps: list[Callable[[], object]] = [*self._finish, partial(self._retain, now)]
        for step in steps:
            try:
                step()
            except ProxyError as error:
                _log.warning("retention is postponed: %s", error)
            except Exception as error:  # the thread must survive; the message may quote anything
                _log.error("retention failed: %s", type(error).__name__)

    def _retain(self, now: int) -> None:
        for dataset in self._datasets.values():
            if dataset.retain is not None and (epochs := self._eraser.ended(dataset, now - dataset.retain)):
                _log.info("retention: erasing %d epochs of data set %s", len(epochs), dataset.name)
                self._eraser.erase(dataset, epochs)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if (ahead := clock.ahead()) > _JUMP_S:
                _log.warning(
                    "the system's clock has gone forward by %.0f s: until a restart, retention goes by the time before",
                    ahead,
                )
            self.round(int(clock.earliest() * 1_000))
            next_round = time.monotonic() + self.PERIOD_SECONDS
            while (left := next_round - time.monotonic()) > 0 and not self._stopped.is_set():
                self._stopped.wait(min(left, self.RETRY_SECONDS))
                if self._eraser.unfinished:  # maybe recorded by another proxy, which was killed
                    break
