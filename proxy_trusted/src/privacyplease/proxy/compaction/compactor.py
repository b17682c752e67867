"""The compactor: compaction in the background, in a thread of its own, taking half of the time that it could."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from privacyplease.proxy.compaction.compaction import Backlog, Compaction
from privacyplease.proxy.errors import ProxyError
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.v1 import error_reason_pb2 as reasons

_log = logging.getLogger(__name__)


class Round(NamedTuple):
    """How the last round ended.

    Attributes:
        at: When, in seconds since 1970; None: none has ended yet.
        failure: Why it stopped short, as the name of an `ErrorReason`, or "".
    """

    at: float | None = None
    failure: str = ""


class Compactor:
    """Looks once a minute for what is due.

    Attributes:
        last: How the last round ended.
    """

    PERIOD_SECONDS = 60.0

    def __init__(self, datasets: Mapping[str, Dataset], compaction: Compaction) -> None:
        self._datasets = datasets
        self._compaction = compaction
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="compactor", daemon=True)
        self.last = Round()

    def start(self) -> None:
        """Starts: the first round is in a minute."""
        self._thread.start()

    def backlog(self) -> dict[str, Backlog]:
        """What is yet to be compacted of each data set."""
        return {name: self._compaction.backlog(dataset) for name, dataset in self._datasets.items()}

    def stop(self) -> None:
        """Starts no further job. One that runs may be cut short, as by a crash."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self.PERIOD_SECONDS):
            failures = [failure for dataset in self._datasets.values() if (failure := self._round(dataset))]
            self.last = Round(time.time(), next(iter(failures), ""))

    def _round(self, dataset: Dataset) -> str:
        """Compacts a data set, and says why it stopped short, if it did: that is not to be the end of the others."""
        try:
            self._compact(dataset)
        except ProxyError as error:
            _log.warning("compaction waits: %s", error)
            return reasons.ErrorReason.Name(error.reason)
        except Exception as error:  # a round that fails must not be the last one; the message may quote anything
            _log.error("compaction failed: %s", type(error).__name__)
            return reasons.ErrorReason.Name(reasons.ERROR_REASON_INTERNAL)
        return ""

    def _compact(self, dataset: Dataset) -> None:
        began = time.monotonic()
        for _ in self._compaction.compact(dataset):
            # Questions and ingest come first: as much time is left to them as a job took.
            if self._stopped.wait(time.monotonic() - began):
                return
            began = time.monotonic()
        self._compaction.collect(dataset)
