"""Bikes: the stations of a contract, where they are and what they have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template, request

from privacyplease.client import Availability, StationState
from privacyplease.client.errors import RefusedError
from privacyplease.dashboard.asking import Asker, asker
from privacyplease.dashboard.charts.lines import Line, line_chart
from privacyplease.dashboard.charts.positions import level, positions
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.ranges import PRESETS, RangeError, read_range

blueprint = Blueprint("bikes", __name__, url_prefix="/bikes")
PAGE = Page(blueprint, "Bikes", frozenset({"stations"}))

_AGES = datetime(1970, 1, 1, tzinfo=UTC)


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with positions and stations."""
    ask, known = asker(), _contracts(asker())
    contract = request.args.get("contract", "").strip() or next(iter(known or ()), "")
    try:
        span = read_range(request.args, zone(), now())
    except RangeError as error:
        return render_template(
            "bikes.html", contract=contract, contracts=known, problem=str(error), presets=PRESETS
        ), 400
    stations: list[StationState] = list(ask.kept("stations_now", contract, span.end)) if contract else []
    return render_template(
        "bikes.html",
        contract=contract,
        contracts=known,
        presets=PRESETS,
        span=span,
        stations=stations,
        empty=[station for station in stations if level(station) == "empty"],
        full=[station for station in stations if level(station) == "full"],
        bikes=sum(station.available_bikes or 0 for station in stations),
        stands=sum(station.available_bike_stands or 0 for station in stations),
        drawn=positions(stations),
        level=level,
    )


@blueprint.get("/availability")
def availability() -> str:
    """Bikes and stands over time."""
    span = read_range(request.args, zone(), now())
    contract = request.args.get("contract", "")
    found: Availability = asker().kept("availability", contract, span.start, span.end, span.step)
    lines = [Line("Bikes", "current", found.bikes.means), Line("Free stands", "before", found.stands.means)]
    chart = line_chart("Bikes and free stands over time", found.start, found.step, lines, zone())
    known = any(mean is not None for mean in found.bikes.means)
    return render_template("bikes_availability.html", chart=chart, known=known)


def _contracts(ask: Asker) -> list[str] | None:
    """The contracts that have data. None for those who may not count: they have to enter the name."""
    try:
        found = ask.kept("list_places", _AGES, _hour(), dataset="bikes", old=True)
    except RefusedError:
        return None
    return [place.place for place in found]


def _hour() -> datetime:
    """The next full hour: within one the question is the same, so that its answer can be kept."""
    return now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
