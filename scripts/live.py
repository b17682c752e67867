"""A simulated campus as a stream: what begins is sent when it begins, by a clock that may go fast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from itertools import islice

import numpy as np
import pyarrow as pa

from privacyplease.cli.clocks import Clock
from privacyplease.ingest.simulate import simulate

_YEAR_DAYS = 365
_TICK_S = 0.5


def campus_days(devices: int, places: int, seed: int, start: date, first: int) -> Iterator[pa.Table]:
    """The days of the campus that `privacyplease simulate` makes, a table a day, from the `first`-th on, for a year."""
    days = simulate(devices=devices, places=places, days=_YEAR_DAYS, seed=seed, start=start)
    return islice(days, first, None)


def as_time_passes(days: Iterable[pa.Table], clock: Clock, wanted: Callable[[], bool]) -> Iterator[pa.Table]:
    """Yields sessions once they have begun, until they are wanted no more.

    Args:
        days: Sessions in the order of time.
        clock: Tells the time.
        wanted: Asked at every look at the clock.
    """
    for day in days:
        starts, sent = np.asarray(day["association_time"].cast(pa.int64())), 0
        while sent < len(starts):
            if not wanted():
                return
            due = int(np.searchsorted(starts, _unix_ms(clock()), side="right"))
            if due > sent:
                yield day.slice(sent, due - sent)
            sent = due
            time.sleep(_TICK_S)


def _unix_ms(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
