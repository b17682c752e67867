"""Line charts: quantities over time as lines, with an area under the first, a band, and the peak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from privacyplease.dashboard.charts.frame import FRAMES, Frame, Tick, scale, time_ticks

Values = Sequence[float | None]


@dataclass(frozen=True)
class ChartLine:
    """A quantity over time.

    Attributes:
        name: Its name in the legend.
        kind: Its class in the style sheet.
        values: One value per step; None where it is unknown.
    """

    name: str
    kind: str
    values: Values


@dataclass(frozen=True)
class Band:
    """The usual range of a quantity in each step, from a low to a high value."""

    name: str
    low: Values
    high: Values


@dataclass(frozen=True)
class DrawnLines:
    """A line chart in one size, with paths in SVG syntax."""

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
    """A line chart in all sizes, with its values for the table of numbers.

    Attributes:
        title: What it shows, for screen readers.
        start: When the first step begins.
        step: The width of a step.
        lines: The lines; the area is under the first.
        band: The band behind the lines, if any.
        peak: The step of the first line to mark, if any.
        drawn: The chart in each size.
    """

    title: str
    start: datetime
    step: timedelta
    lines: list[ChartLine]
    band: Band | None
    peak: int | None
    drawn: list[DrawnLines]

    def begin_of(self, step: int) -> datetime:
        """When a step begins."""
        return self.start + step * self.step

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.lines[0].values)


def line_chart(
    title: str,
    start: datetime,
    step: timedelta,
    lines: list[ChartLine],
    zone: tzinfo,
    *,
    band: Band | None = None,
    peak: int | None = None,
) -> LineChart:
    """Lays out a line chart."""
    known = [value for line in lines for value in line.values if value is not None]
    known += [value for value in (band.high if band else ()) if value is not None]
    top, marks = scale(max(known, default=0))
    steps = len(lines[0].values)
    end = start + steps * step

    def drawn(frame: Frame) -> DrawnLines:
        xs = [frame.across((index + 0.5) / steps) for index in range(steps)]
        width = (frame.edge - frame.left) / steps
        return DrawnLines(
            frame=frame,
            times=time_ticks(frame, start, end, zone),
            counts=[Tick(frame.up(mark / top), f"{mark:,.0f}") for mark in marks],
            paths=[(line.kind, _path(xs, line.values, frame, top)) for line in lines],
            area=_area(xs, lines[0].values, frame, top),
            band=_band(xs, band, frame, top) if band else "",
            peak=None if peak is None else Tick(xs[peak], str(frame.up((lines[0].values[peak] or 0) / top))),
            columns=[(round(frame.left + index * width, 1), round(width, 1), index) for index in range(steps)],
        )

    return LineChart(title, start, step, lines, band, peak, [drawn(frame) for frame in FRAMES])


def _path(xs: list[float], values: Values, frame: Frame, top: float) -> str:
    """A line with gaps where values are unknown."""
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
