"""A simulated campus as a live stream: each session is sent when it begins, by a clock that may run fast."""

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
    """A year of the campus that `privacyplease simulate` generates, one table a day, without its first `first` days."""
    days = simulate(devices=devices, places=places, days=_YEAR_DAYS, seed=seed, start=start)
    return islice(days, first, None)


def in_real_time(days: Iterable[pa.Table], clock: Clock, wanted: Callable[[], bool]) -> Iterator[pa.Table]:
    """Yields sessions as they begin, for as long as they are wanted.

    Args:
        days: Sessions in order of time.
        clock: Returns the current time.
        wanted: Returns whether to go on; called at every tick.
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
