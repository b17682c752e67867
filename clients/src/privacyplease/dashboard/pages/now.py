"""Now: how many people are in the building, by floor and place, compared with the usual number at this time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TypeAlias

from flask import Blueprint, render_template, request
from werkzeug.datastructures import MultiDict

from privacyplease.client import PlaceCounts
from privacyplease.dashboard.formats import now, refresh, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.places import recent_places
from privacyplease.dashboard.proxy_queries import ProxyQueries, proxy_queries
from privacyplease.dashboard.ranges import WEEK, RangeError, read_moment, whole_minute

blueprint = Blueprint("now", __name__, url_prefix="/now")
PAGE = DashboardPage(blueprint, "Now", frozenset({"count"}))

# Sessions are reported every few minutes while they last, so a device seen this recently counts as present.
WINDOW = timedelta(minutes=15)
WEEKS = 6

Window: TypeAlias = tuple[datetime, datetime]

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class PastHeadcount:
    """How many people were here at the same time in an earlier week; None if that day has no records."""

    at: datetime
    people: int | None


@dataclass(frozen=True)
class Headcount:
    """How many people are here, and how many were at the same time in earlier weeks.

    Attributes:
        at: The moment.
        people: Distinct devices in the window before it.
        before: The same one week earlier, two weeks earlier, and so on, back to the first week that has records.
    """

    at: datetime
    people: int
    before: list[PastHeadcount]

    @property
    def usual(self) -> float | None:
        """The median of the earlier weeks; None if none of them has records."""
        known = [past.people for past in self.before if past.people is not None]
        return median(known) if known else None


@dataclass(frozen=True)
class PlaceHeadcount:
    """How many people are at a place or on a floor, and the usual number; None if that is not known."""

    name: str
    people: int
    usual: float | None


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the number of people."""
    try:
        at, live = _moment(request.args)
    except RangeError as error:
        return render_template("now.html", headcount=None, problem=str(error), live=False), 400
    headcount = _headcount(proxy_queries(), at)
    return render_template("now.html", headcount=headcount, live=live, window=WINDOW, refresh=refresh())


@blueprint.get("/people")
def people() -> str:
    """Only the number of people, for a refresh."""
    at, live = _moment(request.args)
    headcount = _headcount(proxy_queries(), at)
    return render_template("now_people.html", headcount=headcount, live=live, window=WINDOW, refresh=refresh())


@blueprint.get("/places")
def places() -> str:
    """Floors and places."""
    at, _ = _moment(request.args)
    queries = proxy_queries()
    floors = recent_places(queries, at).groups()
    return render_template(
        "now_places.html",
        floors=_place_headcounts(queries, at, floors),
        places=_place_headcounts(queries, at, None),
    )


def _moment(fields: MultiDict[str, str]) -> tuple[datetime, bool]:
    """The moment that the page is about, and whether it is live."""
    at = read_moment(fields.get("at", ""), zone(), "Date and time")
    return (at, False) if at else (whole_minute(now()), True)


def _windows(at: datetime) -> list[Window]:
    """The window before a moment, and the same window in each earlier week."""
    return [(at - WINDOW - week * WEEK, at - week * WEEK) for week in range(WEEKS + 1)]


def _headcount(queries: ProxyQueries, at: datetime) -> Headcount:
    current, *earlier = _windows(at)
    before = [PastHeadcount(window[1], _past_count(queries, window)) for window in earlier]
    while before and before[-1].people is None:
        before.pop()
    return Headcount(at, queries.cached("count", *current), before)


def _past_count(queries: ProxyQueries, window: Window) -> int | None:
    """The number of people in an earlier window; None if that day has no records."""
    count: int = queries.cached("count", *window, stable=True)
    return count if count or _has_records(queries, window) else None


def _has_records(queries: ProxyQueries, window: Window) -> bool:
    """Whether any device was seen in the day before the end of a window; if none was, data is probably missing."""
    return bool(queries.cached("count", window[1] - _DAY, window[1], stable=True))


def _place_headcounts(queries: ProxyQueries, at: datetime, floors: dict[str, list[str]] | None) -> list[PlaceHeadcount]:
    """The places that have people now or usually; with `floors`, the known floors instead."""
    current, *earlier = _windows(at)
    counts_by_week: list[PlaceCounts] = [queries.cached("count_by_place", *current, groups=floors)]
    counts_by_week += [
        queries.cached("count_by_place", *window, groups=floors, stable=True)
        for window in earlier
        if _has_records(queries, window)
    ]
    weeks = [dict(zip(counts.places, counts.distinct_devices, strict=True)) for counts in counts_by_week]
    names = {name for week in weeks for name in week if floors is None or name in floors}
    headcounts = [PlaceHeadcount(name, weeks[0].get(name, 0), _usual(name, weeks[1:])) for name in names]
    shown = [headcount for headcount in headcounts if headcount.people or headcount.usual]
    return sorted(shown, key=lambda headcount: (-headcount.people, -(headcount.usual or 0), headcount.name))


def _usual(name: str, weeks: list[dict[str, int]]) -> float | None:
    return median(week.get(name, 0) for week in weeks) if weeks else None
