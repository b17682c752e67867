"""Occupancy: how many people there were over time, at a place, on a floor or anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from statistics import quantiles
from typing import TypeAlias

from flask import Blueprint, render_template, request

from privacyplease.client import Occupancy
from privacyplease.dashboard.charts.heatmap import DAYS, heat_map
from privacyplease.dashboard.charts.lines import Band, ChartLine, LineChart, line_chart
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.places import locations, recent_places, resolve_place
from privacyplease.dashboard.proxy_queries import ProxyQueries, proxy_queries
from privacyplease.dashboard.ranges import PRESETS, WEEK, ChosenRange, RangeError, read_range, whole_quarter

blueprint = Blueprint("occupancy", __name__, url_prefix="/occupancy")
PAGE = DashboardPage(blueprint, "Occupancy", frozenset({"count"}))

BAND_WEEKS = 6
HEAT_WEEKS = 4
LEAST_WEEKS = 2

Counts: TypeAlias = tuple[int, ...]

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the series; for a long range, first that of its last week."""
    place = _place()
    try:
        span = _span()
    except RangeError as error:
        return render_template("occupancy.html", span=None, place=place, problem=str(error), presets=PRESETS), 400
    queries = proxy_queries()
    newest = span.newest
    occupancy, whole = _occupancy(queries, newest, _where(queries, span), span.step), newest == span
    empty = whole and not occupancy.peak.distinct_devices
    return render_template(
        "occupancy.html",
        span=span,
        place=place,
        presets=PRESETS,
        whole=whole,
        empty=empty,
        people=0 if empty else None,
        peak=occupancy.peak if whole else None,
        chart=_chart(span, occupancy.series.distinct_devices),
    )


@blueprint.get("/figures")
def figures() -> str:
    """The number of people in the whole range, and the peak."""
    span, queries = _span(), proxy_queries()
    where = _where(queries, span)
    people, occupancy = queries.concurrently(
        partial(queries.cached, "count", span.start, span.end, place=where), partial(_occupancy, queries, span, where)
    )
    return render_template("occupancy_figures.html", span=span, place=_place(), people=people, peak=occupancy.peak)


@blueprint.get("/chart")
def chart() -> str:
    """The whole series; up to a week, compared with the week before and with the usual numbers."""
    span, queries = _span(), proxy_queries()
    where = _where(queries, span)
    if span.width > WEEK:
        return render_template("occupancy_chart.html", chart=_chart(span, _counts(queries, span, where)))
    before = span.earlier(1)
    current, *weeks = queries.concurrently(
        partial(_counts, queries, span, where),
        *(partial(_counts, queries, span.earlier(week), where, stable=True) for week in range(1, BAND_WEEKS + 1)),
    )
    people, people_before = queries.concurrently(
        partial(queries.cached, "count", span.start, span.end, place=where),
        partial(queries.cached, "count", before.start, before.end, place=where, stable=True),
    )
    return render_template(
        "occupancy_chart.html", chart=_chart(span, current, weeks), people=people, people_before=people_before
    )


@blueprint.get("/weeks")
def weeks() -> str:
    """The mean for each hour of the week."""
    span, queries = _span(), proxy_queries()
    end = span.end.replace(minute=0, second=0, microsecond=0)
    start = end - HEAT_WEEKS * WEEK
    where = _where(queries, span)
    occupancy: Occupancy = queries.cached("occupancy", start, end, _HOUR, place=where, stable=True)
    heat = heat_map(start, occupancy.series.distinct_devices, zone())
    return render_template("occupancy_weeks.html", heat=heat, days=DAYS, weeks=HEAT_WEEKS)


@blueprint.get("/places")
def places() -> str:
    """Places and floors by their number of people."""
    span, queries = _span(), proxy_queries()
    floors = recent_places(queries, span.end).groups()
    by_place, by_floor = queries.concurrently(
        partial(queries.cached, "count_by_place", span.start, span.end),
        partial(queries.cached, "count_by_place", span.start, span.end, groups=floors),
    )
    return render_template(
        "occupancy_places.html",
        places=list(by_place),
        floors=[count for count in by_floor if count.place in floors],
        span=span,
    )


@blueprint.get("/names")
def names() -> str:
    """The names that can be entered as a place."""
    known = recent_places(proxy_queries(), now() if not request.args.get("to") else _span().end)
    return render_template("place_names.html", names=[*locations(known), *(place.place for place in known)])


def _span() -> ChosenRange:
    return read_range(request.args, zone(), whole_quarter(now()))


def _place() -> str:
    return request.args.get("place", "").strip()


def _where(queries: ProxyQueries, span: ChosenRange) -> str | list[str] | None:
    return resolve_place(queries, _place(), span.end)


def _occupancy(
    queries: ProxyQueries,
    span: ChosenRange,
    where: str | list[str] | None,
    step: timedelta | None = None,
    *,
    stable: bool = False,
) -> Occupancy:
    occupancy: Occupancy = queries.cached(
        "occupancy", span.start, span.end, step or span.step, place=where, stable=stable
    )
    return occupancy


def _counts(queries: ProxyQueries, span: ChosenRange, where: str | list[str] | None, *, stable: bool = False) -> Counts:
    return _occupancy(queries, span, where, stable=stable).series.distinct_devices


def _chart(span: ChosenRange, counts: Counts, weeks: Sequence[Counts] = ()) -> LineChart:
    """The series, or the known part at its end, compared with earlier weeks (latest first) if there are any."""
    steps = max(len(counts), -(-span.width // span.step))
    unknown = (None,) * (steps - len(counts))
    lines = [ChartLine("This range", "current", unknown + counts)]
    lines += [ChartLine("One week earlier", "before", week) for week in weeks[:1]]
    band, median = _band(_with_records(weeks, max(1, _DAY // span.step)))
    return line_chart(
        "Distinct devices over time",
        span.start,
        span.step,
        lines + median,
        zone(),
        band=band,
        peak=counts.index(max(counts)) if any(counts) and not unknown else None,
    )


def _with_records(weeks: Sequence[Counts], day: int) -> list[Counts]:
    """The weeks (latest first) that have records, without the one in which the records begin.

    >>> _with_records([(0, 7, 7, 7), (0, 0, 0, 0), (7, 0, 7, 7), (0, 0, 7, 7), (0, 0, 0, 0)], day=2)
    [(0, 7, 7, 7), (7, 0, 7, 7)]
    """
    known = [week for week in weeks if any(week)]
    return known if not known or any(known[-1][:day]) else known[:-1]


def _band(weeks: list[Counts]) -> tuple[Band | None, list[ChartLine]]:
    """The quartiles and the median of each step over some weeks; nothing if there are too few weeks."""
    if len(weeks) < LEAST_WEEKS:
        return None, []
    quartiles = [quantiles(step, n=4, method="inclusive") for step in zip(*weeks, strict=True)]
    low, middle, high = zip(*quartiles, strict=True)
    median = ChartLine(f"Median of {len(weeks)} weeks", "median", middle)
    return Band("Middle half of earlier weeks", low, high), [median]
