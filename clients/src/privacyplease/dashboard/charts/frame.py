"""The frame of a chart: its size, its margins, and the ticks of its axes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_TICK_STEPS = [timedelta(hours=hours) for hours in (1, 2, 3, 6, 12, 24, 48, 168, 336, 672, 2_016, 8_064)]
_SUB_HOUR = [timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30)]
# More than any change between summer and winter time.
_CLOCK_CHANGE = timedelta(days=1)


@dataclass(frozen=True)
class Tick:
    """A tick on an axis: its position in pixels, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Frame:
    """The size of a chart in pixels, and its margins.

    Attributes:
        name: "wide" or "narrow"; the style sheet shows one of them.
        width: The total width.
        height: The total height.
        ticks: How many time labels fit.
        left: The left margin, with the labels of the vertical axis.
        bottom: The bottom margin, with the labels of the horizontal axis.
        top: The top margin.
        right: The right margin.
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
        """The bottom edge of the plot area."""
        return self.height - self.bottom

    @property
    def edge(self) -> int:
        """The right edge of the plot area."""
        return self.width - self.right

    def across(self, share: float) -> float:
        """The horizontal position of a share of the width, from 0 to 1."""
        return round(self.left + share * (self.edge - self.left), 1)

    def up(self, share: float) -> float:
        """The vertical position of a share of the height, from 0 to 1."""
        return round(self.base - share * (self.base - self.top), 1)


FRAMES = (Frame("wide", 960, 300, 8), Frame("narrow", 380, 240, 4))


def scale(most: float, marks: int = 4) -> tuple[float, list[float]]:
    """A round number that is at least the greatest value, and round tick values up to it.

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
    """Ticks at round local times."""
    width = end - start
    if width <= timedelta(0):
        return []
    fitting = (step for step in (*_SUB_HOUR, *_TICK_STEPS) if width / step <= frame.ticks)
    step = next(fitting, width / frame.ticks)
    pattern = "%H:%M" if step < timedelta(days=1) else "%d %b"
    return [
        Tick(frame.across((at - start) / width), _label(at, pattern, zone))
        for at in _round_times(start, end, step, zone)
    ]


def _round_times(start: datetime, end: datetime, step: timedelta, zone: tzinfo) -> Iterator[datetime]:
    """Instants in the interval that are whole steps after local midnight."""
    midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first = max(0, int((start - midnight.astimezone(UTC)) / step) - 1)
    last = (end - midnight.astimezone(UTC) + _CLOCK_CHANGE) // step
    for number in range(first, last + 1):
        at = (midnight.replace(tzinfo=None) + number * step).replace(tzinfo=zone).astimezone(UTC)
        if start <= at <= end:
            yield at


def _label(at: datetime, pattern: str, zone: tzinfo) -> str:
    label = at.astimezone(zone).strftime(pattern)
    return label.lstrip("0") if pattern == "%d %b" else label
