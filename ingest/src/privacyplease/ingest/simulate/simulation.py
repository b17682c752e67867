"""Simulates WiFi sessions day by day."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa

from privacyplease.ingest.simulate.campus import CampusMap
from privacyplease.ingest.simulate.daily_activity import SimulatedSessions, sessions, visits
from privacyplease.ingest.simulate.devices import Devices
from privacyplease.ingest.wifi.columns import SCHEMA

__all__ = ["simulate"]

_FIRST_DAY = date(2024, 10, 7)  # a Monday in term


def simulate(*, devices: int, places: int, days: int, seed: int, start: date = _FIRST_DAY) -> Iterator[pa.Table]:
    """Simulates who was where on a campus, one table per day.

    The same arguments give the same sessions. Memory is bounded by the sessions of one day.

    Args:
        devices: How many devices belong there, whether or not they come on these days.
        places: How many access points there are.
        days: How many days.
        seed: Selects one of the possible campuses.
        start: The first day, UTC.

    Yields:
        The sessions that start on each day, by start: tables of the schema `privacyplease.ingest.wifi.SCHEMA`.
    """
    rng = np.random.default_rng(seed)
    campus = CampusMap.generate(places, rng)
    population = Devices.generate(devices, campus, rng)
    device_columns = population.columns()
    place_columns = {"ap_name": campus.names(), "map_location": campus.locations()}
    for number in range(days):
        day, day_rng = start + timedelta(days=number), np.random.default_rng((seed, number))
        logged = sessions(visits(population, campus, weekend=day.weekday() >= 5, rng=day_rng), campus, day_rng)
        columns = {name: values.take(logged.device) for name, values in device_columns.items()}
        columns |= {name: values.take(logged.place) for name, values in place_columns.items()}
        yield _table(columns | _times(logged, day) | {"avg_session_throughput_kbps": _throughput(logged, day_rng)})


def _table(columns: dict[str, pa.Array]) -> pa.Table:
    count = len(columns["association_time"])
    return pa.table([columns.get(field.name, pa.nulls(count)).cast(field.type) for field in SCHEMA], schema=SCHEMA)


def _times(logged: SimulatedSessions, day: date) -> dict[str, pa.Array]:
    midnight = int(datetime.combine(day, time(), UTC).timestamp())
    return {
        "association_time": pa.array((midnight + logged.start) * 1_000),
        "session_duration": pa.array(logged.length * 1_000),
    }


def _throughput(logged: SimulatedSessions, rng: np.random.Generator) -> pa.StringArray:
    """Draws string[n], Kbps; a session without duration carries no traffic."""
    drawn = pa.array(np.round(rng.lognormal(3.0, 1.5, len(logged.length)), 1), mask=logged.length == 0)
    return drawn.cast(pa.string())
