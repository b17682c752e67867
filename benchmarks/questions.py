"""The questions: presence, counts and series, for busy and quiet devices and places, over short and long ranges.

A question is plain data, so it can be passed to another process, and two answers to it can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from benchmarks.sessions import CampusSessions
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


class QuestionKind(StrEnum):
    """The kind of a question."""

    PRESENCE = "presence"
    COUNT = "count"
    SERIES = "occupancy"
    PLACES = "places"


@dataclass(frozen=True)
class BenchmarkQuestion:
    """One question.

    Attributes:
        kind: Its kind.
        key: The device (presence) or the place it is about; None for anywhere.
        start: The first instant.
        end: The last instant.
        step: The width of a step of a series.
    """

    kind: QuestionKind
    key: str | None
    start: datetime
    end: datetime
    step: timedelta = _QUARTER

    def ask(self, client: Client) -> object:
        """The answer, in a form that can be compared with the other side's."""
        match self.kind:
            case QuestionKind.PRESENCE:
                sessions = client.presence(self.key or "", self.start, self.end, purpose="benchmark").sessions
                return sessions.places, sessions.starts_ms, sessions.ends_ms
            case QuestionKind.COUNT:
                return client.count(self.start, self.end, place=self.key)
            case QuestionKind.SERIES:
                return client.occupancy(self.start, self.end, self.step, place=self.key).series.distinct_devices
            case QuestionKind.PLACES:
                counts = client.count_by_place(self.start, self.end)
                return [(count.place, count.distinct_devices) for count in counts]


@dataclass(frozen=True)
class QuestionFamily:
    """Questions of one kind and range, about neighbouring days.

    Attributes:
        subject: What they ask and of what, as "count, busiest place".
        range: A name of `RANGES`.
        questions: The questions; all cost about the same.
    """

    subject: str
    range: str
    questions: tuple[BenchmarkQuestion, ...]

    @property
    def name(self) -> str:
        """As "count, busiest place, 1 h"."""
        return f"{self.subject}, {self.range}"

    @property
    def kind(self) -> QuestionKind:
        """The kind of its questions."""
        return self.questions[0].kind


def families(data: CampusSessions) -> Iterator[QuestionFamily]:
    """Every kind of question over every range, in the middle of the data."""
    devices, places = data.devices, data.places
    for name in RANGES:
        yield _family(data, QuestionKind.PRESENCE, "presence, busiest device", devices.busiest, name)
        yield _family(data, QuestionKind.PRESENCE, "presence, quiet device", devices.quiet, name)
        yield _family(data, QuestionKind.COUNT, "count, busiest place", places.busiest, name)
        yield _family(data, QuestionKind.COUNT, "count, quiet place", places.quiet, name)
        yield _family(data, QuestionKind.COUNT, "count, whole building", None, name)
    for name, step in (("1 d", _QUARTER), ("7 d", _HOUR), ("30 d", _HOUR)):
        yield _family(data, QuestionKind.SERIES, "occupancy, busiest place", places.busiest, name, step)
    yield _family(data, QuestionKind.SERIES, "occupancy, whole building", None, "1 d")
    places_1_d = _family(data, QuestionKind.PLACES, "each place's count, whole building", None, "1 d")
    yield replace(places_1_d, questions=places_1_d.questions[:1])  # each takes the plaintext side half a minute


def mixed(data: CampusSessions, number: int) -> list[BenchmarkQuestion]:
    """A plausible day of use: half presence, a third counts, the rest series; more short ranges than long ones.

    Devices and places are drawn by popularity. Counts of the whole building are left out: they would dominate.
    """
    devices, places = data.devices, data.places
    questions = []
    for index in range(number):
        device, place = devices[(index * index) % len(devices)], places[(index * index) % len(places)]
        match index % 6:
            case 0 | 1:
                questions.append(_question(data, QuestionKind.PRESENCE, device, "1 d", index))
            case 2:
                questions.append(_question(data, QuestionKind.PRESENCE, device, "7 d", index))
            case 3:
                questions.append(_question(data, QuestionKind.COUNT, place, "1 h", index))
            case 4:
                questions.append(_question(data, QuestionKind.COUNT, place, "1 d", index))
            case 5:
                questions.append(_question(data, QuestionKind.SERIES, place, "1 d", index))
    return questions


def _family(
    data: CampusSessions, kind: QuestionKind, subject: str, key: str | None, name: str, step: timedelta = _QUARTER
) -> QuestionFamily:
    if RANGES[name] == timedelta.max:
        everything = BenchmarkQuestion(kind, key, data.start, data.start + timedelta(days=data.days), step)
        return QuestionFamily(subject, name, (everything,))
    middle = BenchmarkQuestion(kind, key, data.noon - RANGES[name] / 2, data.noon + RANGES[name] / 2, step)
    near = (BenchmarkQuestion(kind, key, middle.start + shift, middle.end + shift, step) for shift in _SHIFTS)
    return QuestionFamily(subject, name, tuple(near))


def _question(data: CampusSessions, kind: QuestionKind, key: str, name: str, number: int) -> BenchmarkQuestion:
    """A question about a time at or near the middle of the data, shifted by whole days and hours."""
    start = data.noon - RANGES[name] / 2 + timedelta(days=number % 11 - 5, hours=number % 5)
    return BenchmarkQuestion(kind, key, start, start + RANGES[name])
