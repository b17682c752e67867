"""Retention: what data sets' definitions say is not to be kept is erased, and what was cut short is finished."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from privacyplease.proxy.errors import ProxyError
from privacyplease.proxy.lifecycle.erasing import Erasing
from privacyplease.proxy.records.dataset import Dataset

_log = logging.getLogger(__name__)


class Retention:
    """Does it once an hour, in a thread of its own."""

    PERIOD_SECONDS = 3_600.0

    def __init__(
        self, datasets: Mapping[str, Dataset], erasing: Erasing, finish: Sequence[Callable[[], object]] = ()
    ) -> None:
        """Takes the parts.

        Args:
            datasets: The data sets.
            erasing: What erases.
            finish: What else finishes what was cut short: `Settling.finish`, `Renewing.finish`.
        """
        self._datasets = datasets
        self._erasing = erasing
        self._finish = [erasing.finish, *finish]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Starts: the first round is now."""
        self._thread.start()

    def stop(self) -> None:
        """Starts no further round. One that runs may be cut short, as by a crash."""
        self._stopped.set()

    def round(self, now: int) -> None:
        """Finishes what was cut short, and erases every epoch that ended longer ago than its data set retains.

        What must wait keeps nothing else waiting.

        Args:
            now: In ms since 1970.
        """
        steps: list[Callable[[], object]] = [*self._finish, partial(self._retain, now)]
        for step in steps:
            try:
                step()
            except ProxyError as error:
                _log.warning("retention waits: %s", error)
            except Exception as error:  # this round must not be the last one; the message may quote anything
                _log.error("retention failed: %s", type(error).__name__)

    def _retain(self, now: int) -> None:
        for dataset in self._datasets.values():
            if dataset.retain is not None and (epochs := self._erasing.ended(dataset, now - dataset.retain)):
                _log.info("retention: erasing %d epochs of data set %s", len(epochs), dataset.name)
                self._erasing.erase(dataset, epochs)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.round(int(time.time() * 1_000))
            self._stopped.wait(self.PERIOD_SECONDS)
