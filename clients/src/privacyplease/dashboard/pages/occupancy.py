"""Occupancy: how many people over time, at a place, a floor or anywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

from flask import Blueprint, render_template, request

from privacyplease.client import Occupancy
from privacyplease.dashboard.asking import Asker, asker
from privacyplease.dashboard.charts.heatmap import DAYS, heat_map
from privacyplease.dashboard.charts.lines import Band, Line, LineChart, line_chart
from privacyplease.dashboard.formats import zone
from privacyplease.dashboard.pages.page import Page, problem
from privacyplease.dashboard.places import groups, locations, meant, places_before
from privacyplease.dashboard.ranges import PRESETS, WEEK, Range, RangeError, read_range

blueprint = Blueprint("occupancy", __name__, url_prefix="/occupancy")
PAGE = Page(blueprint, "Occupancy", frozenset({"count"}))

BAND_WEEKS = 6
HEAT_WEEKS = 4
LEAST_WEEKS = 2
_HOUR = timedelta(hours=1)


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the series and last week's."""
    place = request.args.get("place", "").strip()
    try:
        span = _span()
    except RangeError as error:
        return render_template("occupancy.html", span=None, place=place, problem=str(error), presets=PRESETS), 400
    ask = asker()
    where = meant(ask, place, span.end)
    return render_template(
        "occupancy.html",
        span=span,
        place=place,
        presets=PRESETS,
        people=ask.kept("count", span.start, span.end, place=where),
        people_before=ask.kept("count", span.earlier(1).start, span.earlier(1).end, place=where, old=True),
        found=_series(ask, span, where),
        chart=_chart(ask, span, where),
        has_band=span.width <= WEEK,
    )


@blueprint.get("/band")
def band() -> str | tuple[str, int]:
    """The series again, with what was usual in the weeks before."""
    try:
        span = _span()
    except RangeError as error:
        return problem("This cannot be asked", str(error))
    ask = asker()
    where = meant(ask, request.args.get("place", "").strip(), span.end)
    return render_template("occupancy_chart.html", chart=_chart(ask, span, where, _band(ask, span, where)))


@blueprint.get("/weeks")
def weeks() -> str | tuple[str, int]:
    """The mean of each hour of the week."""
    try:
        span = _span()
    except RangeError as error:
        return problem("This cannot be asked", str(error))
    ask = asker()
    end = span.end.replace(minute=0, second=0, microsecond=0)
    start = end - HEAT_WEEKS * WEEK
    where = meant(ask, request.args.get("place", "").strip(), span.end)
    found: Occupancy = ask.kept("occupancy", start, end, _HOUR, place=where, old=True)
    heat = heat_map(start, found.series.distinct_devices, zone())
    return render_template("occupancy_weeks.html", heat=heat, days=DAYS, weeks=HEAT_WEEKS)


@blueprint.get("/places")
def places() -> str | tuple[str, int]:
    """Places and floors by their number of people."""
    try:
        span = _span()
    except RangeError as error:
        return problem("This cannot be asked", str(error))
    ask = asker()
    floors = groups(places_before(ask, span.end))
    by_floor = ask.kept("count_by_place", span.start, span.end, groups=floors)
    return render_template(
        "occupancy_places.html",
        places=list(ask.kept("count_by_place", span.start, span.end)),
        floors=[each for each in by_floor if each.place in floors],
        span=span,
    )


@blueprint.get("/names")
def names() -> str:
    """What can be entered as a place."""
    known = places_before(asker(), datetime.now(UTC) if not request.args.get("to") else _span().end)
    return render_template("place_names.html", names=[*locations(known), *(place.place for place in known)])


def _span() -> Range:
    return read_range(request.args, zone(), datetime.now(UTC))


def _series(ask: Asker, span: Range, where: Any, *, old: bool = False) -> Occupancy:  # noqa: ANN401  # as `Client.occupancy`
    found: Occupancy = ask.kept("occupancy", span.start, span.end, span.step, place=where, old=old)
    return found


def _chart(ask: Asker, span: Range, where: Any, band: tuple[Band, Line] | None = None) -> LineChart:  # noqa: ANN401
    found = _series(ask, span, where)
    counts = found.series.distinct_devices
    lines = [Line("This range", "current", counts)]
    if span.width <= WEEK:
        lines.append(
            Line("A week before", "before", _series(ask, span.earlier(1), where, old=True).series.distinct_devices)
        )
    if band:
        lines.append(band[1])
    return line_chart(
        "Distinct devices over time",
        span.start,
        span.step,
        lines,
        zone(),
        band=band[0] if band else None,
        peak=counts.index(max(counts)) if any(counts) else None,
    )


def _band(ask: Asker, span: Range, where: Any) -> tuple[Band, Line] | None:  # noqa: ANN401
    """The quartiles of each step over the weeks before that have records; None if there are not enough."""
    weeks = [_series(ask, span.earlier(week), where, old=True).series for week in range(1, BAND_WEEKS + 1)]
    known = [week.distinct_devices for week in weeks if any(week.distinct_devices)]
    if len(known) < LEAST_WEEKS:
        return None
    quartiles = [quantiles(step, n=4, method="inclusive") for step in zip(*known, strict=True)]
    low, middle, high = zip(*quartiles, strict=True)
    return Band("Half of the weeks before", low, high), Line(f"Median of {len(known)} weeks", "median", middle)
