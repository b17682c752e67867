"""Maps: stations plotted at their positions, without a background map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from privacyplease.client import StationState
from privacyplease.dashboard.charts.frame import FRAMES, Frame

_MARGIN = 26


@dataclass(frozen=True)
class Point:
    """A station in pixels.

    Attributes:
        x: The horizontal position of its centre.
        y: The vertical position of its centre.
        radius: Its radius, which grows with the number of stands.
        level: "empty", "full", "some" or "unknown".
        station: The station.
    """

    x: float
    y: float
    radius: float
    level: str
    station: StationState


@dataclass(frozen=True)
class DrawnPositions:
    """A plot in one size; `kilometre` is the length of one kilometre in pixels."""

    frame: Frame
    points: list[Point]
    kilometre: float


def level(station: StationState) -> str:
    """Whether there are bikes and free stands: "empty", "full", "some" or "unknown"."""
    if station.available_bikes is None or station.available_bike_stands is None:
        return "unknown"
    if station.available_bikes == 0:
        return "empty"
    return "full" if station.available_bike_stands == 0 else "some"


def positions(stations: Sequence[StationState]) -> list[DrawnPositions]:
    """Lays out stations in an equirectangular projection around their centre, without those that have no position."""
    placed = [
        (station, station.longitude, station.latitude)
        for station in stations
        if station.latitude is not None and station.longitude is not None
    ]
    return [_drawn(replace(frame, height=round(frame.width * 0.6)), placed) for frame in FRAMES] if placed else []


def _drawn(frame: Frame, placed: list[tuple[StationState, float, float]]) -> DrawnPositions:
    west, east = min(lng for _, lng, _ in placed), max(lng for _, lng, _ in placed)
    south, north = min(lat for _, _, lat in placed), max(lat for _, _, lat in placed)
    shrink = math.cos(math.radians((south + north) / 2))
    width, height = max((east - west) * shrink, 1e-4), max(north - south, 1e-4)
    factor = min((frame.width - 2 * _MARGIN) / width, (frame.height - 2 * _MARGIN) / height)
    left, top = (frame.width - width * factor) / 2, (frame.height - height * factor) / 2
    points = [
        Point(
            x=round(left + (lng - west) * shrink * factor, 1),
            y=round(top + (north - lat) * factor, 1),
            radius=round(5 + math.sqrt(station.bike_stands or 0) * 1.6, 1),
            level=level(station),
            station=station,
        )
        for station, lng, lat in placed
    ]
    return DrawnPositions(frame, points, round(factor / 111.32, 1))
