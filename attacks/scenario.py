"""The fortnight as it happens: sessions arrive every hour, compaction runs at night, questions are asked by day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from attacks.campus import HOURS, Fortnight
from attacks.questions import ScenarioQuestion
from attacks.trace import HOUR

_MINUTE = 60_000

Clock = Callable[[int], None]


class ScenarioStore(Protocol):
    """A store that the fortnight happens to."""

    def ingest(self, records: pa.Table) -> None:
        """Stores records."""

    def compact(self, until: int) -> None:
        """Merges what began before an instant, in ms since 1970."""

    def ask(self, question: ScenarioQuestion) -> None:
        """Answers a question."""


def happen(
    store: ScenarioStore,
    fortnight: Fortnight,
    questions: list[ScenarioQuestion],
    clock: Clock,
    *,
    nightly: Callable[[int], None] = lambda day: None,
) -> None:
    """Plays a fortnight on a store.

    Args:
        store: The store.
        fortnight: What is logged.
        questions: What is asked, in order of time.
        clock: Called with the time, in ms since 1970, whenever it changes.
        nightly: Called with the number of each day, 0 to 13, before it begins.
    """
    first, waiting = fortnight.knowledge.first, list(questions)
    for hour in range(HOURS):
        end = first + (hour + 1) * HOUR
        if hour % 24 == 0:
            clock(first + hour * HOUR)
            nightly(hour // 24)
            _night(store, first + hour * HOUR, clock)
        while waiting and waiting[0].at < end:
            clock(waiting[0].at)
            store.ask(waiting.pop(0))
        clock(end - 1)
        if records := _any(fortnight.logged(hour)):
            store.ingest(records)


def _night(store: ScenarioStore, midnight: int, clock: Clock) -> None:
    """Compacts what was logged on the days before."""
    clock(midnight + 30 * _MINUTE)
    store.compact(midnight - 1)


def _any(records: pa.Table) -> pa.Table | None:
    return records if records.num_rows else None
