"""A fortnight of a simulated campus: who was where, as a controller logs it, and which part of that is public.

The second week differs from the first: Wednesday is a holiday, and the lecture hall and the canteen have moved to the
other ends of their buildings. A guess from last week's profile only is wrong about both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from attacks.questions import Popularity, ScenarioQuestion, asked
from attacks.trace import DAY, HOUR
from privacyplease.ingest.simulate import simulate

# A Monday. The fortnight is inside one epoch of 30 days, so that a change of keys hides nothing.
FIRST_DAY = date(2024, 10, 21)
HOURS = 14 * 24
_WEEK = 7 * 24
_HOLIDAY = 9  # Wednesday of the second week
_STAY = 0.2  # the share of devices that come on a holiday
_MOVE = ("ap-01", "ap-03")  # the lecture hall and the canteen

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Knowledge:
    """What is public: names, and last week's profile.

    Attributes:
        first: The first instant of the fortnight, in ms since 1970.
        places: Names of the places.
        devices: Names of the devices.
        place_hours: int64[places, 168], sessions logged at each place in each hour of the first week.
        device_days: int64[devices, 7], sessions logged of each device on each of its days.
        people: int64[168], distinct devices in the building in each of its hours.
    """

    first: int
    places: list[str]
    devices: list[str]
    place_hours: Int64Array
    device_days: Int64Array
    people: Int64Array


@dataclass(frozen=True)
class GroundTruth:
    """What an attacker wants to know.

    Attributes:
        questions: The questions of the second week.
        place_hours: int64[places, 168], sessions logged at each place in each hour of the second week.
        people: int64[168], distinct devices in the building in each of its hours.
    """

    questions: list[ScenarioQuestion]
    place_hours: Int64Array
    people: Int64Array


@dataclass(frozen=True)
class Fortnight:
    """Sessions of two weeks, in the order in which they end, which is when a controller logs them.

    Attributes:
        table: All columns, of the schema `privacyplease.ingest.wifi.SCHEMA`.
        seed: The seed of the simulation.
    """

    table: pa.Table
    seed: int

    @classmethod
    def simulated(cls, devices: int, places: int, seed: int) -> Fortnight:
        """The fortnight of a campus with this many devices and places."""
        days = simulate(devices=devices, places=places, days=14, seed=seed, start=FIRST_DAY)
        changed = [_changed(day, number, seed) for number, day in enumerate(days)]
        table = pa.concat_tables(changed)
        _, ends = spans(table)
        order = np.argsort(ends, kind="stable")
        within = order[ends[order] < first_instant() + 14 * DAY]
        return cls(table.take(pa.array(within)).combine_chunks(), seed)

    def logged(self, hour: int) -> pa.Table:
        """The sessions that end in an hour of the fortnight, counted from its beginning."""
        begin, end = np.searchsorted(self._hour, [hour, hour + 1])
        return self.table.slice(int(begin), int(end - begin))

    @cached_property
    def knowledge(self) -> Knowledge:
        """What is public."""
        weeks = self._place_hours
        days = np.zeros((len(self.devices), 7), np.int64)
        first = self._hour < _WEEK
        np.add.at(days, (self._codes("client_mac")[first], self._hour[first] // 24), 1)
        return Knowledge(first_instant(), self.places, self.devices, weeks[:, :_WEEK], days, self._people[:_WEEK])

    def truth(self, questions: int) -> GroundTruth:
        """About this many questions, and what else is to be guessed."""
        public = self.knowledge
        devices = _popularity(public.devices, public.device_days.sum(axis=1))
        places = _popularity(public.places, public.place_hours.sum(axis=1))
        week = list(asked(public.first + 7 * DAY, questions, devices, places, self.seed))
        return GroundTruth(week, self._place_hours[:, _WEEK:], self._people[_WEEK:])

    @cached_property
    def places(self) -> list[str]:
        """Names of the places, ascending."""
        return sorted(pc.unique(self.table["ap_name"]).to_pylist())

    @cached_property
    def devices(self) -> list[str]:
        """Names of the devices, ascending."""
        return sorted(pc.unique(self.table["client_mac"]).to_pylist())

    @cached_property
    def _hour(self) -> Int64Array:
        return (spans(self.table)[1] - first_instant()) // HOUR

    @cached_property
    def _place_hours(self) -> Int64Array:
        counts = np.zeros((len(self.places), HOURS), np.int64)
        np.add.at(counts, (self._codes("ap_name"), self._hour), 1)
        return counts

    @cached_property
    def _people(self) -> Int64Array:
        starts, ends = spans(self.table)
        return present(self._codes("client_mac"), starts - first_instant(), ends - first_instant(), HOURS)

    def _codes(self, column: str) -> Int64Array:
        names = self.places if column == "ap_name" else self.devices
        return pc.index_in(self.table[column], pa.array(names)).to_numpy().astype(np.int64)


def first_instant() -> int:
    """The first instant of the fortnight, in ms since 1970."""
    return int(datetime.combine(FIRST_DAY, datetime.min.time(), UTC).timestamp()) * 1_000


def spans(table: pa.Table) -> tuple[Int64Array, Int64Array]:
    """First and last instants of sessions, in ms since 1970: int64[n] each."""
    starts = table["association_time"].cast(pa.int64()).to_numpy()
    return starts, starts + table["session_duration"].cast(pa.int64()).to_numpy()


def present(devices: Int64Array, starts: Int64Array, ends: Int64Array, hours: int) -> Int64Array:
    """Distinct devices with a session in each hour: int64[hours]; times in ms from the beginning of the first."""
    present_in: set[tuple[int, int]] = set()
    for device, begin, end in zip(devices.tolist(), (starts // HOUR).tolist(), (ends // HOUR).tolist(), strict=True):
        present_in.update((hour, device) for hour in range(begin, min(end, hours - 1) + 1))
    return np.bincount([hour for hour, _ in present_in], minlength=hours).astype(np.int64)


def _popularity(names: list[str], sessions: Int64Array) -> Popularity:
    """How likely each name is asked about: more likely with more sessions, and possible even without any."""
    weight = sessions + 1.0
    return Popularity(names, weight / weight.sum())


def _changed(day: pa.Table, number: int, seed: int) -> pa.Table:
    """A day as it happens; days of the second week differ."""
    if number < 7:
        return day
    if number == _HOLIDAY:
        rng = np.random.default_rng((seed, 2))
        devices = sorted(pc.unique(day["client_mac"]).to_pylist())
        stay = pa.array([device for device in devices if rng.random() < _STAY])
        return day.filter(pc.is_in(day["client_mac"], stay))
    column = day.schema.get_field_index("ap_name")
    return day.set_column(column, "ap_name", pa.array(map(_moved, day["ap_name"].to_pylist())))


def _moved(place: str) -> str:
    """The place at the other end of the building, if it is one of those where something has moved.

    >>> _moved("ap-01-2"), _moved("ap-02-2")
    ('ap-01-7', 'ap-02-2')
    """
    building, _, number = place.rpartition("-")
    return f"{building}-{9 - int(number)}" if building in _MOVE else place
