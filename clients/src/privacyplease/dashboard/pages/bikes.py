"""Bikes: the stations of a contract, their positions, and their bikes and free stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template, request

from privacyplease.client import Availability, StationState
from privacyplease.client.errors import RefusedError
from privacyplease.dashboard.charts.lines import ChartLine, line_chart
from privacyplease.dashboard.charts.positions import level, positions
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.proxy_queries import ProxyQueries, proxy_queries
from privacyplease.dashboard.ranges import PRESETS, RangeError, read_range

blueprint = Blueprint("bikes", __name__, url_prefix="/bikes")
PAGE = DashboardPage(blueprint, "Bikes", frozenset({"stations"}))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the map and the list of stations."""
    queries = proxy_queries()
    contracts = _contracts(queries)
    contract = request.args.get("contract", "").strip() or next(iter(contracts or ()), "")
    try:
        span = read_range(request.args, zone(), now())
    except RangeError as error:
        return render_template(
            "bikes.html", contract=contract, contracts=contracts, problem=str(error), presets=PRESETS
        ), 400
    stations: list[StationState] = list(queries.cached("stations_now", contract, span.end)) if contract else []
    return render_template(
        "bikes.html",
        contract=contract,
        contracts=contracts,
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
    means: Availability = proxy_queries().cached("availability", contract, span.start, span.end, span.step)
    lines = [ChartLine("Bikes", "current", means.bikes.means), ChartLine("Free stands", "before", means.stands.means)]
    chart = line_chart("Bikes and free stands over time", means.start, means.step, lines, zone())
    known = any(mean is not None for mean in means.bikes.means)
    return render_template("bikes_availability.html", chart=chart, known=known)


def _contracts(queries: ProxyQueries) -> list[str] | None:
    """The contracts that have data; None for a user who may not count and has to enter the name."""
    try:
        places = queries.cached("list_places", _EPOCH, _next_hour(), dataset="bikes", stable=True)
    except RefusedError:
        return None
    return [place.place for place in places]


def _next_hour() -> datetime:
    """The next full hour, so that the question is the same within an hour and its answer can be cached."""
    return now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
