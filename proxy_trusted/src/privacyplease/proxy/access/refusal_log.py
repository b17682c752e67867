"""Refusals in the audit log: the first few of a kind in a minute one by one, and all others of that minute as one line.

A caller who is refused thousands of times a second so adds a few lines a minute to the log. A refusal that is only
counted is on disk within a minute, and at the latest when the proxy stops; a crash loses the counts of that minute.
While the disk is full, all are counted.

Questions that need no line of their own, such as counts of people, are counted in the same way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.errors import AuditUnavailableError

MOST_SINGLE_LINES = 3
WINDOW_SECONDS = 60.0

_LOOK_EVERY_SECONDS = 1.0

Entry: TypeAlias = dict[str, object]

# Caller, rpc and reason, or the user asked for: of what is admitted or refused there are few.
_Kind: TypeAlias = tuple[object, object, object]


@dataclass
class _Window:
    """The refusals of one kind since the first of them.

    Attributes:
        opened_at: When it was, in seconds of the clock.
        single: How many have a line of their own.
        count: How many do not.
        common: What the entries of those have in common.
        first: When the first of those was.
        last: When the last was.
    """

    opened_at: float
    single: int = 0
    count: int = 0
    common: Entry | None = None
    first: str = ""
    last: str = ""

    def add(self, entry: Entry, at: str) -> None:
        """Counts a refusal."""
        self.count += 1
        self.common = entry if self.common is None else dict(self.common.items() & entry.items())
        self.first, self.last = self.first or at, at

    def line(self, event: str) -> Entry:
        """The entry for all that were counted."""
        return {"event": event, **(self.common or {}), "count": self.count, "first": self.first, "last": self.last}


class RefusalLog:
    """Writes refusals to the audit log. Safe to use from many threads."""

    def __init__(
        self,
        log: AuditLog,
        clock: Callable[[], float] = time.monotonic,
        *,
        event: str = "refused",
        most_single: int = MOST_SINGLE_LINES,
    ) -> None:
        """Initialises an empty record.

        Args:
            log: The audit log.
            clock: Returns the time in seconds.
            event: What lines say happened.
            most_single: How many of a kind have a line of their own in a minute.
        """
        self._log, self._clock, self._event, self._most_single = log, clock, event, most_single
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=event, daemon=True)
        self._windows: dict[_Kind, _Window] = {}

    def record(self, entry: Entry) -> None:
        """Records a refusal, or counts it. One that has a line of its own survives a loss of power on return.

        Raises:
            AuditUnavailableError: The log cannot be written.
        """
        # Whom a refused caller named is a text that callers choose.
        kind = entry.get("who"), entry.get("rpc"), entry.get("reason", entry.get("for"))
        with self._lock:
            window = self._windows.setdefault(kind, _Window(self._clock()))
            if window.single >= self._most_single or self._log.full:
                window.add(entry, self._log.now())
                return
            window.single += 1
        self._log.record({"event": self._event, **entry})

    def flush(self, *, least_seconds: float = WINDOW_SECONDS) -> None:
        """Writes the counts of all windows that opened at least as long ago as given, and closes these windows.

        Raises:
            AuditUnavailableError: The log cannot be written. What was not written goes on being counted.
        """
        with self._lock:
            for kind, window in list(self._windows.items()):
                if self._clock() - window.opened_at >= least_seconds:
                    if window.count:
                        self._log.record(window.line(self._event))
                    del self._windows[kind]

    def start(self) -> None:
        """Begins to write the counts of each minute."""
        self._thread.start()

    def stop(self) -> None:
        """Writes all counts, if possible, and ends."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(AuditUnavailableError):  # it was logged
            self.flush(least_seconds=0)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_SECONDS):
            if self._log.full:
                continue
            with suppress(AuditUnavailableError):  # it was logged
                self.flush()
