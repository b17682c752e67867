"""Compaction in the background, in a thread that is busy half of the time at most."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from privacyplease.proxy.compaction.compactor import Backlog, Compactor
from privacyplease.proxy.errors import ProxyError
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.v1 import error_reason_pb2 as reasons

_log = logging.getLogger(__name__)


class Round(NamedTuple):
    """How the last round ended.

    Attributes:
        at: When it ended, in seconds since 1970; None if no round has ended yet.
        failure: Why it stopped early, as the name of an `ErrorReason`; "" if it did not.
    """

    at: float | None = None
    failure: str = ""


class BackgroundCompaction:
    """Compacts what is due, once a minute.

    Attributes:
        last: How the last round ended.
    """

    PERIOD_SECONDS = 60.0

    def __init__(self, datasets: Mapping[str, Dataset], compactor: Compactor) -> None:
        self._datasets = datasets
        self._compactor = compactor
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compactor", daemon=True)
        self.last = Round()

    def start(self) -> None:
        """Starts the thread; the first round is in a minute."""
        self._thread.start()

    def backlog(self) -> dict[str, Backlog]:
        """What is still to be compacted, by data set."""
        return {name: self._compactor.backlog(dataset) for name, dataset in self._datasets.items()}

    def stop(self) -> None:
        """Starts no further job. A running one may be interrupted, as by a crash."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self.PERIOD_SECONDS):
            failures = [failure for dataset in self._datasets.values() if (failure := self._round(dataset))]
            self.last = Round(time.time(), next(iter(failures), ""))

    def _round(self, dataset: Dataset) -> str:
        """Compacts a data set; returns why it stopped early, or "". A failure does not affect the other data sets."""
        try:
            self._compact(dataset)
        except ProxyError as error:
            _log.warning("compaction is postponed: %s", error)
            return reasons.ErrorReason.Name(error.reason)
        except Exception as error:  # the thread must survive; the message may quote anything
            _log.error("compaction failed: %s", type(error).__name__)
            return reasons.ErrorReason.Name(reasons.ERROR_REASON_INTERNAL)
        return ""

    def _compact(self, dataset: Dataset) -> None:
        began = time.monotonic()
        for _ in self._compactor.compact(dataset):
            # Questions and ingest have priority: pause for as long as the job took.
            if self._stopped.wait(time.monotonic() - began):
                return
            began = time.monotonic()
        self._compactor.collect(dataset)
