"""What people ask: presence, counts and series, for the busy and the quiet, over short times and long ones.

A question is data, so that processes can be given it, and its answer compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from benchmarks.sessions import Data
from privacyplease.client import Client

RANGES = {
    "1 h": timedelta(hours=1),
    "1 d": timedelta(days=1),
    "7 d": timedelta(days=7),
    "30 d": timedelta(days=30),
    "all": timedelta.max,
}
_QUARTER, _HOUR = timedelta(minutes=15), timedelta(hours=1)
_SHIFTS = (timedelta(), timedelta(days=1), timedelta(days=-1))


class Kind(StrEnum):
    """What is asked."""

    PRESENCE = "presence"
    COUNT = "count"
    SERIES = "occupancy"
    PLACES = "places"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        kind: What is asked.
        key: Of which device (presence) or place; None for anywhere.
        start: The first instant.
        end: The last instant.
        step: The width of a step of a series.
    """

    kind: Kind
    key: str | None
    start: datetime
    end: datetime
    step: timedelta = _QUARTER

    def ask(self, client: Client) -> object:
        """The answer, which compares equal to the other side's."""
        match self.kind:
            case Kind.PRESENCE:
                found = client.presence(self.key or "", self.start, self.end, purpose="benchmark").sessions
                return found.places, found.starts_ms, found.ends_ms
            case Kind.COUNT:
                return client.count(self.start, self.end, place=self.key)
            case Kind.SERIES:
                return client.occupancy(self.start, self.end, self.step, place=self.key).series.distinct_devices
            case Kind.PLACES:
                return [(each.place, each.distinct_devices) for each in client.count_by_place(self.start, self.end)]


@dataclass(frozen=True)
class Family:
    """Questions of one kind and range, about neighbouring days.

    Attributes:
        subject: Of whom or what, as "count, busiest place".
        range: A name of `RANGES`.
        questions: The questions; all cost about the same.
    """

    subject: str
    range: str
    questions: tuple[Question, ...]

    @property
    def name(self) -> str:
        """As "count, busiest place, 1 h"."""
        return f"{self.subject}, {self.range}"


def families(data: Data) -> Iterator[Family]:
    """Every kind of question over every range, in the middle of the data."""
    devices, places = data.devices, data.places
    for name in RANGES:
        yield _family(data, Kind.PRESENCE, "presence, busiest device", devices.busiest, name)
        yield _family(data, Kind.PRESENCE, "presence, quiet device", devices.quiet, name)
        yield _family(data, Kind.COUNT, "count, busiest place", places.busiest, name)
        yield _family(data, Kind.COUNT, "count, quiet place", places.quiet, name)
        yield _family(data, Kind.COUNT, "count, whole building", None, name)
    for name, step in (("1 d", _QUARTER), ("7 d", _HOUR), ("30 d", _HOUR)):
        yield _family(data, Kind.SERIES, "occupancy, busiest place", places.busiest, name, step)
    yield _family(data, Kind.SERIES, "occupancy, whole building", None, "1 d")
    places_1_d = _family(data, Kind.PLACES, "each place's count, whole building", None, "1 d")
    yield replace(places_1_d, questions=places_1_d.questions[:1])  # the other side takes half a minute for each


def mixed(data: Data, number: int) -> list[Question]:
    """What a day of use might be: half presence, a third counts, the rest series; short ranges more than long ones.

    Devices and places come by popularity. Counts of the whole building are left out: they alone would decide it.
    """
    devices, places = data.devices, data.places
    found = []
    for at in range(number):
        device, place = devices[(at * at) % len(devices)], places[(at * at) % len(places)]
        match at % 6:
            case 0 | 1:
                found.append(_question(data, Kind.PRESENCE, device, "1 d", at))
            case 2:
                found.append(_question(data, Kind.PRESENCE, device, "7 d", at))
            case 3:
                found.append(_question(data, Kind.COUNT, place, "1 h", at))
            case 4:
                found.append(_question(data, Kind.COUNT, place, "1 d", at))
            case 5:
                found.append(_question(data, Kind.SERIES, place, "1 d", at))
    return found


def _family(data: Data, kind: Kind, subject: str, key: str | None, name: str, step: timedelta = _QUARTER) -> Family:
    if RANGES[name] == timedelta.max:
        everything = Question(kind, key, data.start, data.start + timedelta(days=data.days), step)
        return Family(subject, name, (everything,))
    middle = Question(kind, key, data.noon - RANGES[name] / 2, data.noon + RANGES[name] / 2, step)
    near = (Question(kind, key, middle.start + shift, middle.end + shift, step) for shift in _SHIFTS)
    return Family(subject, name, tuple(near))


def _question(data: Data, kind: Kind, key: str, name: str, number: int) -> Question:
    """Over a time at or near the middle of the data, moved by whole days and hours."""
    start = data.noon - RANGES[name] / 2 + timedelta(days=number % 11 - 5, hours=number % 5)
    return Question(kind, key, start, start + RANGES[name])
