"""Simulates WiFi sessions day by day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa

from privacyplease.ingest.simulate.campus import Campus
from privacyplease.ingest.simulate.days import Sessions, sessions, visits
from privacyplease.ingest.simulate.devices import Devices
from privacyplease.ingest.wifi.columns import SCHEMA

__all__ = ["simulate"]

_FIRST_DAY = date(2024, 10, 7)  # a Monday in term


def simulate(*, devices: int, places: int, days: int, seed: int, start: date = _FIRST_DAY) -> Iterator[pa.Table]:
    """Simulates who was where on a campus, a table a day.

    The same arguments give the same sessions. Memory is bounded by one day's.

    Args:
        devices: How many devices belong there, whether they come on these days or not.
        places: How many access points there are.
        days: How many days.
        seed: Which of all such campuses.
        start: The first day, UTC.

    Yields:
        The sessions that begin on a day, in the order of time: tables of the schema `privacyplease.ingest.wifi.SCHEMA`.
    """
    rng = np.random.default_rng(seed)
    campus = Campus.built(places, rng)
    crowd = Devices.born(devices, campus, rng)
    known = crowd.columns()
    placed = {"ap_name": campus.names(), "map_location": campus.locations()}
    for number in range(days):
        day, luck = start + timedelta(days=number), np.random.default_rng((seed, number))
        found = sessions(visits(crowd, campus, weekend=day.weekday() >= 5, rng=luck), campus, luck)
        columns = {name: values.take(found.device) for name, values in known.items()}
        columns |= {name: values.take(found.place) for name, values in placed.items()}
        yield _table(columns | _times(found, day) | {"avg_session_throughput_kbps": _throughput(found, luck)})


def _table(columns: dict[str, pa.Array]) -> pa.Table:
    count = len(columns["association_time"])
    return pa.table([columns.get(field.name, pa.nulls(count)).cast(field.type) for field in SCHEMA], schema=SCHEMA)


def _times(found: Sessions, day: date) -> dict[str, pa.Array]:
    midnight = int(datetime.combine(day, time(), UTC).timestamp())
    return {
        "association_time": pa.array((midnight + found.start) * 1_000),
        "session_duration": pa.array(found.length * 1_000),
    }


def _throughput(found: Sessions, rng: np.random.Generator) -> pa.StringArray:
    """Draws string[n], Kbps; a session that lasts no time carries nothing."""
    drawn = pa.array(np.round(rng.lognormal(3.0, 1.5, len(found.length)), 1), mask=found.length == 0)
    return drawn.cast(pa.string())
