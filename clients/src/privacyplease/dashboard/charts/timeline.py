"""Timelines: the sessions of one device as strips, with a row for each place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from privacyplease.client import Session
from privacyplease.dashboard.charts.frame import FRAMES, Frame, Tick, time_ticks

ROW = 30
LEAST_WIDTH = 3.0
MOST_ROWS = 40


@dataclass(frozen=True)
class Strip:
    """A session in pixels."""

    x: float
    width: float
    session: Session


@dataclass(frozen=True)
class TimelineRow:
    """A place, and the sessions of the device there."""

    place: str
    y: int
    strips: list[Strip]


@dataclass(frozen=True)
class DrawnTimeline:
    """A timeline in one size."""

    frame: Frame
    times: list[Tick]
    rows: list[TimelineRow]


def timelines(sessions: Iterable[Session], start: datetime, end: datetime, zone: tzinfo) -> list[DrawnTimeline]:
    """Lays out the sessions of an interval; the places in order of their first session, at most `MOST_ROWS`."""
    by_place: dict[str, list[Session]] = {}
    for session in sessions:
        by_place.setdefault(session.place, []).append(session)
    places = list(by_place)[:MOST_ROWS]
    return [_drawn(frame, {place: by_place[place] for place in places}, start, end, zone) for frame in FRAMES]


def _drawn(
    frame: Frame, by_place: dict[str, list[Session]], start: datetime, end: datetime, zone: tzinfo
) -> DrawnTimeline:
    frame = replace(frame, height=ROW * len(by_place) + frame.top + frame.bottom, left=24)
    rows = [
        TimelineRow(place, frame.top + ROW * index, [_strip(frame, session, start, end) for session in by_place[place]])
        for index, place in enumerate(by_place)
    ]
    return DrawnTimeline(frame, time_ticks(frame, start, end, zone), rows)


def _strip(frame: Frame, session: Session, start: datetime, end: datetime) -> Strip:
    """The part of a session that is inside the interval."""
    width = (end - start) or (session.end - session.start) or session.start.resolution
    first, last = (frame.across(min(1.0, max(0.0, (at - start) / width))) for at in (session.start, session.end))
    return Strip(min(first, frame.edge - LEAST_WIDTH), max(LEAST_WIDTH, round(last - first, 1)), session)
