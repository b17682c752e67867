"""Occupancy: how many people over time, at a place, a floor or anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from statistics import quantiles
from typing import Any, TypeAlias

from flask import Blueprint, render_template, request

from privacyplease.client import Occupancy
from privacyplease.dashboard.asking import Asker, asker
from privacyplease.dashboard.charts.heatmap import DAYS, heat_map
from privacyplease.dashboard.charts.lines import Band, Line, LineChart, line_chart
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.places import locations, meant, places_before
from privacyplease.dashboard.ranges import PRESETS, WEEK, Range, RangeError, read_range

blueprint = Blueprint("occupancy", __name__, url_prefix="/occupancy")
PAGE = Page(blueprint, "Occupancy", frozenset({"count"}))

BAND_WEEKS = 6
HEAT_WEEKS = 4
LEAST_WEEKS = 2

Counts: TypeAlias = tuple[int, ...]

_HOUR = timedelta(hours=1)


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the series."""
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
        found=_series(ask, span, where),
        chart=_chart(ask, span, where),
        comparable=span.width <= WEEK,
    )


@blueprint.get("/band")
def band() -> str:
    """The series again, with the week before and what was usual."""
    span = _span()
    ask = asker()
    where = meant(ask, request.args.get("place", "").strip(), span.end)
    return render_template(
        "occupancy_chart.html",
        chart=_chart(ask, span, where, _weeks(ask, span, where)),
        people=ask.kept("count", span.start, span.end, place=where),
        people_before=ask.kept("count", span.earlier(1).start, span.earlier(1).end, place=where, old=True),
    )


@blueprint.get("/weeks")
def weeks() -> str:
    """The mean of each hour of the week."""
    span = _span()
    ask = asker()
    end = span.end.replace(minute=0, second=0, microsecond=0)
    start = end - HEAT_WEEKS * WEEK
    where = meant(ask, request.args.get("place", "").strip(), span.end)
    found: Occupancy = ask.kept("occupancy", start, end, _HOUR, place=where, old=True)
    heat = heat_map(start, found.series.distinct_devices, zone())
    return render_template("occupancy_weeks.html", heat=heat, days=DAYS, weeks=HEAT_WEEKS)


@blueprint.get("/places")
def places() -> str:
    """Places and floors by their number of people."""
    span = _span()
    ask = asker()
    floors = places_before(ask, span.end).groups()
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
    known = places_before(asker(), now() if not request.args.get("to") else _span().end)
    return render_template("place_names.html", names=[*locations(known), *(place.place for place in known)])


def _span() -> Range:
    return read_range(request.args, zone(), now())


def _series(ask: Asker, span: Range, where: Any, *, old: bool = False) -> Occupancy:  # noqa: ANN401  # as `Client.occupancy`
    found: Occupancy = ask.kept("occupancy", span.start, span.end, span.step, place=where, old=old)
    return found


def _chart(
    ask: Asker,
    span: Range,
    where: Any,  # noqa: ANN401
    weeks: Sequence[Counts] = (),
) -> LineChart:
    """The series, and the weeks before, the latest first, if they are given."""
    counts = _series(ask, span, where).series.distinct_devices
    lines = [Line("This range", "current", counts)]
    lines += [Line("A week before", "before", week) for week in weeks[:1]]
    band, middle = _band([week for week in weeks if any(week)])
    return line_chart(
        "Distinct devices over time",
        span.start,
        span.step,
        lines + middle,
        zone(),
        band=band,
        peak=counts.index(max(counts)) if any(counts) else None,
    )


def _weeks(ask: Asker, span: Range, where: Any) -> list[Counts]:  # noqa: ANN401
    """The same range in the weeks before, the latest first."""
    earlier = (span.earlier(week) for week in range(1, BAND_WEEKS + 1))
    return [_series(ask, week, where, old=True).series.distinct_devices for week in earlier]


def _band(weeks: list[Counts]) -> tuple[Band | None, list[Line]]:
    """The quartiles of each step over some weeks, and their median; nothing if there are not enough."""
    if len(weeks) < LEAST_WEEKS:
        return None, []
    quartiles = [quantiles(step, n=4, method="inclusive") for step in zip(*weeks, strict=True)]
    low, middle, high = zip(*quartiles, strict=True)
    return Band("Half of the weeks before", low, high), [Line(f"Median of {len(weeks)} weeks", "median", middle)]
