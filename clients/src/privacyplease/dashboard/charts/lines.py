"""Quantities over time: lines, an area under the first, a band, and the peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from privacyplease.dashboard.charts.frame import FRAMES, Frame, Tick, scale, time_ticks

Values = Sequence[float | None]


@dataclass(frozen=True)
class Line:
    """A quantity over time.

    Attributes:
        name: What the legend says.
        kind: Its class in the style sheet.
        values: One a step; None where nothing is known.
    """

    name: str
    kind: str
    values: Values


@dataclass(frozen=True)
class Band:
    """Between which two values a quantity usually lies."""

    name: str
    low: Values
    high: Values


@dataclass(frozen=True)
class DrawnLines:
    """A chart in one size; paths are in SVG's own form."""

    frame: Frame
    times: list[Tick]
    counts: list[Tick]
    paths: list[tuple[str, str]]
    area: str
    band: str
    peak: Tick | None
    columns: list[tuple[float, float, int]]


@dataclass(frozen=True)
class LineChart:
    """A chart in all sizes, and its numbers for a table.

    Attributes:
        title: What it shows, for those who do not see it.
        start: When the first step begins.
        step: The width of a step.
        lines: What is drawn; the first has the area.
        band: What lies behind.
        peak: The step of the first line to be marked, if any.
        drawn: The sizes.
    """

    title: str
    start: datetime
    step: timedelta
    lines: list[Line]
    band: Band | None
    peak: int | None
    drawn: list[DrawnLines]

    def at(self, step: int) -> datetime:
        """When a step begins."""
        return self.start + step * self.step

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.lines[0].values)


def line_chart(
    title: str,
    start: datetime,
    step: timedelta,
    lines: list[Line],
    zone: tzinfo,
    *,
    band: Band | None = None,
    peak: int | None = None,
) -> LineChart:
    """Lays out lines over time."""
    known = [value for line in lines for value in line.values if value is not None]
    known += [value for value in (band.high if band else ()) if value is not None]
    top, marks = scale(max(known, default=0))
    steps = len(lines[0].values)
    end = start + steps * step

    def drawn(frame: Frame) -> DrawnLines:
        xs = [frame.across((at + 0.5) / steps) for at in range(steps)]
        width = (frame.edge - frame.left) / steps
        return DrawnLines(
            frame=frame,
            times=time_ticks(frame, start, end, zone),
            counts=[Tick(frame.up(mark / top), f"{mark:,.0f}") for mark in marks],
            paths=[(line.kind, _path(xs, line.values, frame, top)) for line in lines],
            area=_area(xs, lines[0].values, frame, top),
            band=_band(xs, band, frame, top) if band else "",
            peak=None if peak is None else Tick(xs[peak], str(frame.up((lines[0].values[peak] or 0) / top))),
            columns=[(round(frame.left + at * width, 1), round(width, 1), at) for at in range(steps)],
        )

    return LineChart(title, start, step, lines, band, peak, [drawn(frame) for frame in FRAMES])


def _path(xs: list[float], values: Values, frame: Frame, top: float) -> str:
    """A line that is broken where nothing is known."""
    parts, pen = [], "M"
    for x, value in zip(xs, values, strict=True):
        if value is None:
            pen = "M"
        else:
            parts.append(f"{pen}{x} {frame.up(value / top)}")
            pen = "L"
    return "".join(parts)


def _area(xs: list[float], values: Values, frame: Frame, top: float) -> str:
    if not xs or any(value is None for value in values):
        return ""
    return f"{_path(xs, values, frame, top)}L{xs[-1]} {frame.base}L{xs[0]} {frame.base}Z"


def _band(xs: list[float], band: Band, frame: Frame, top: float) -> str:
    upper = _path(xs, band.high, frame, top)
    lower = _path(xs[::-1], list(band.low)[::-1], frame, top)
    return f"{upper}L{lower[1:]}Z" if upper and lower else ""
