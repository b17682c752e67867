"""Now: how many people are in the building, by floor and place, against what is usual for this hour and weekday."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TypeAlias

from flask import Blueprint, render_template, request
from werkzeug.datastructures import MultiDict

from privacyplease.client import PlaceCounts
from privacyplease.dashboard.asking import Asker, asker
from privacyplease.dashboard.formats import now, refresh, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.places import places_before
from privacyplease.dashboard.ranges import WEEK, RangeError, read_moment, whole_minute

blueprint = Blueprint("now", __name__, url_prefix="/now")
PAGE = Page(blueprint, "Now", frozenset({"count"}))

# Sessions are reported while they last, some minutes apart: whoever was here so lately is here.
WINDOW = timedelta(minutes=15)
WEEKS = 6

Window: TypeAlias = tuple[datetime, datetime]

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Past:
    """How many were here at this time of a week before; None if nothing is known of that day."""

    at: datetime
    people: int | None


@dataclass(frozen=True)
class Now:
    """How many are here, and were at this time in the weeks before.

    Attributes:
        at: When.
        people: Distinct devices in the window before.
        before: The same one week before, two weeks before, and so on, to the last week of which anything is known.
    """

    at: datetime
    people: int
    before: list[Past]

    @property
    def usual(self) -> float | None:
        """The median of the weeks before; None if nothing is known of any of them."""
        known = [past.people for past in self.before if past.people is not None]
        return median(known) if known else None


@dataclass(frozen=True)
class Share:
    """A floor or a place: how many are there, and how many usually; None if that is not known."""

    name: str
    people: int
    usual: float | None


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the number of people."""
    try:
        at, live = _at(request.args)
    except RangeError as error:
        return render_template("now.html", now=None, problem=str(error), live=False), 400
    return render_template("now.html", now=_now(asker(), at), live=live, window=WINDOW, refresh=refresh())


@blueprint.get("/people")
def people() -> str:
    """The number of people alone, to look again."""
    at, live = _at(request.args)
    return render_template("now_people.html", now=_now(asker(), at), live=live, window=WINDOW, refresh=refresh())


@blueprint.get("/places")
def places() -> str:
    """Floors and places."""
    at, _ = _at(request.args)
    ask = asker()
    floors = places_before(ask, at).groups()
    return render_template("now_places.html", floors=_shares(ask, at, floors), places=_shares(ask, at, None))


def _at(given: MultiDict[str, str]) -> tuple[datetime, bool]:
    """The moment that is meant, and whether it is the present."""
    at = read_moment(given.get("at", ""), zone(), "At another moment")
    return (at, False) if at else (whole_minute(now()), True)


def _windows(at: datetime) -> list[Window]:
    """The window, and the same in the weeks before."""
    return [(at - WINDOW - week * WEEK, at - week * WEEK) for week in range(WEEKS + 1)]


def _now(ask: Asker, at: datetime) -> Now:
    current, *before = _windows(at)
    past = [Past(window[1], _before(ask, window)) for window in before]
    while past and past[-1].people is None:
        past.pop()
    return Now(at, ask.kept("count", *current), past)


def _before(ask: Asker, window: Window) -> int | None:
    """How many there were; None if nothing is known of that day."""
    count: int = ask.kept("count", *window, old=True)
    return count if count or _known(ask, window) else None


def _known(ask: Asker, window: Window) -> bool:
    """Whether anybody was seen in the day until then: a day without a record says nothing about people."""
    return bool(ask.kept("count", window[1] - _DAY, window[1], old=True))


def _shares(ask: Asker, at: datetime, floors: dict[str, list[str]] | None) -> list[Share]:
    """Who is where now or was in the weeks before; of floors those alone that are known."""
    current, *before = _windows(at)
    found: list[PlaceCounts] = [ask.kept("count_by_place", *current, groups=floors)]
    found += [ask.kept("count_by_place", *window, groups=floors, old=True) for window in before if _known(ask, window)]
    counted = [dict(zip(counts.places, counts.distinct_devices, strict=True)) for counts in found]
    names = {name for counts in counted for name in counts if floors is None or name in floors}
    shares = [Share(name, counted[0].get(name, 0), _usual(name, counted[1:])) for name in names]
    seen = [share for share in shares if share.people or share.usual]
    return sorted(seen, key=lambda share: (-share.people, -(share.usual or 0), share.name))


def _usual(name: str, counted: list[dict[str, int]]) -> float | None:
    return median(counts.get(name, 0) for counts in counted) if counted else None
