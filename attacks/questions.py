"""The questions of the second week: about which device or place, and about which time.

Intervals are drawn independently of what a question is about, so that an interval by itself reveals nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from attacks.trace import DAY, HOUR

OPENS, CLOSES = 8, 20  # hours of the day in which people ask
_SUBJECTS = (0.42, 0.42, 0.16)
_MOST_BACK = 6  # days


class About(StrEnum):
    """What a question is about."""

    DEVICE = "device"
    PLACE = "place"
    BUILDING = "building"


@dataclass(frozen=True)
class ScenarioQuestion:
    """A question, and the truth about it.

    Attributes:
        at: When it is asked, in ms since 1970. No two questions are asked at the same instant.
        about: What it is about.
        key: Which device or place; "" for the building.
        start: The first instant that it asks about, in ms since 1970.
        end: The last one.
        series: Whether it asks for a series by the hour instead of one count.
    """

    at: int
    about: About
    key: str
    start: int
    end: int
    series: bool = False


@dataclass(frozen=True)
class Popularity:
    """Names, and how likely each is asked about: float64[n], of sum 1."""

    names: list[str]
    share: np.ndarray

    def draw(self, rng: np.random.Generator) -> str:
        """One of the names."""
        return self.names[int(rng.choice(len(self.names), p=self.share))]


def asked(first: int, number: int, devices: Popularity, places: Popularity, seed: int) -> Iterator[ScenarioQuestion]:
    """About `number` questions in the week that begins at `first`, in the order in which they are asked."""
    rng = np.random.default_rng((seed, 1))
    slots = [first + day * DAY + hour * HOUR for day in range(7) for hour in range(OPENS, CLOSES)]
    for slot, count in zip(slots, rng.multinomial(number, np.full(len(slots), 1 / len(slots))), strict=True):
        for minute in sorted(rng.choice(np.arange(5, 55), count, replace=False).tolist()):
            about = list(About)[int(rng.choice(3, p=_SUBJECTS))]
            start, end = _interval(slot, rng)
            key = {About.DEVICE: devices, About.PLACE: places}[about].draw(rng) if about != About.BUILDING else ""
            series = bool(rng.random() < 0.5) and about != About.DEVICE
            yield ScenarioQuestion(slot + minute * 60_000, about, key, start, end, series)


def _interval(now: int, rng: np.random.Generator) -> tuple[int, int]:
    """The last hours, a whole day, or some hours of a day; closed, in ms."""
    kind, back = rng.random(), int(rng.integers(1, _MOST_BACK + 1))
    hours, hour = int(rng.integers(1, 5)), int(rng.integers(7, 19))
    midnight = now // DAY * DAY - back * DAY
    if kind < 0.35:
        return now - hours * HOUR, now - 1
    if kind < 0.7:
        return midnight, midnight + DAY - 1
    return midnight + hour * HOUR, midnight + (hour + hours) * HOUR - 1
