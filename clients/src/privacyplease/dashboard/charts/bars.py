"""Bar charts: counts by class as vertical bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from privacyplease.dashboard.charts.frame import FRAMES, Frame, Tick, scale


@dataclass(frozen=True)
class Bar:
    """A bar in pixels, with its label and count."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: int


@dataclass(frozen=True)
class DrawnBars:
    """A bar chart in one size."""

    frame: Frame
    counts: list[Tick]
    bars: list[Bar]


@dataclass(frozen=True)
class BarChart:
    """A bar chart in all sizes."""

    title: str
    drawn: list[DrawnBars]

    @property
    def bars(self) -> list[Bar]:
        """The bars, for the table of numbers."""
        return self.drawn[0].bars


def bar_chart(title: str, labels: Sequence[str], counts: Sequence[int]) -> BarChart:
    """Lays out a bar chart."""
    top, marks = scale(max(counts, default=0))

    def drawn(frame: Frame) -> DrawnBars:
        slot = (frame.edge - frame.left) / max(1, len(counts))
        bars = [
            Bar(
                x=round(frame.left + index * slot + slot * 0.12, 1),
                y=frame.up(count / top),
                width=round(slot * 0.76, 1),
                height=round(frame.base - frame.up(count / top), 1),
                label=label,
                count=count,
            )
            for index, (label, count) in enumerate(zip(labels, counts, strict=True))
        ]
        return DrawnBars(frame, [Tick(frame.up(mark / top), f"{mark:,.0f}") for mark in marks], bars)

    return BarChart(title, [drawn(frame) for frame in FRAMES])
