"""The frame of a chart: its size, its margins, and the ticks of its axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_TICK_STEPS = [timedelta(hours=hours) for hours in (1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2_016, 8_064)]
_SUB_HOUR = [timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30)]
# Clocks never change by more.
_CLOCK_CHANGE = timedelta(days=1)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where, in pixels, and what it says."""

    at: float
    label: str


@dataclass(frozen=True)
class Frame:
    """The size of a chart in pixels, and the room around what is drawn.

    Attributes:
        name: "wide" or "narrow"; the style sheet shows one of them.
        width: All of it.
        height: All of it.
        ticks: How many marks of time have room.
        left: Room for the labels of the vertical axis.
        bottom: Room for the labels of the horizontal axis.
    """

    name: str
    width: int
    height: int
    ticks: int
    left: int = 56
    bottom: int = 26
    top: int = 16
    right: int = 22

    @property
    def base(self) -> int:
        """The lower edge of what is drawn."""
        return self.height - self.bottom

    @property
    def edge(self) -> int:
        """The right edge of what is drawn."""
        return self.width - self.right

    def across(self, share: float) -> float:
        """From 0 to 1 to a horizontal position."""
        return round(self.left + share * (self.edge - self.left), 1)

    def up(self, share: float) -> float:
        """From 0 to 1 to a vertical position."""
        return round(self.base - share * (self.base - self.top), 1)


FRAMES = (Frame("wide", 960, 300, 8), Frame("narrow", 380, 240, 4))


def scale(most: float, marks: int = 4) -> tuple[float, list[float]]:
    """A round number that is no less than the greatest value, and round marks up to it.

    >>> scale(418)
    (500.0, [0.0, 100.0, 200.0, 300.0, 400.0, 500.0])
    >>> scale(0)
    (1.0, [0.0, 1.0])
    """
    if most < 1:
        return 1.0, [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(most / marks))
    width = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power * marks >= most * 0.8)
    width = max(1.0, width)
    count = math.ceil(most / width)
    return count * width, [mark * width for mark in range(count + 1)]


def time_ticks(frame: Frame, start: datetime, end: datetime, zone: tzinfo) -> list[Tick]:
    """Marks at round local times."""
    width = end - start
    if width <= timedelta(0):
        return []
    fitting = (each for each in (*_SUB_HOUR, *_TICK_STEPS) if width / each <= frame.ticks)
    step = next(fitting, width / frame.ticks)
    shown = "%H:%M" if step < timedelta(days=1) else "%d %b"
    return [
        Tick(frame.across((at - start) / width), _label(at, shown, zone)) for at in _round_times(start, end, step, zone)
    ]


def _round_times(start: datetime, end: datetime, step: timedelta, zone: tzinfo) -> Iterator[datetime]:
    """Instants between the two that lie whole steps after local midnight."""
    midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = max(0, int((start - midnight.astimezone(UTC)) / step) - 1)
    last = (end - midnight.astimezone(UTC) + _CLOCK_CHANGE) // step
    for number in range(first, last + 1):
        at = (midnight.replace(tzinfo=None) + number * step).replace(tzinfo=zone).astimezone(UTC)
        if start <= at <= end:
            yield at


def _label(at: datetime, shown: str, zone: tzinfo) -> str:
    return at.astimezone(zone).strftime(shown).lstrip("0") if shown == "%d %b" else at.astimezone(zone).strftime(shown)
