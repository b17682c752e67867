"""Occupancy: how many people over time, at a place, a floor or anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
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
from privacyplease.dashboard.ranges import PRESETS, WEEK, Range, RangeError, read_range, whole_quarter

blueprint = Blueprint("occupancy", __name__, url_prefix="/occupancy")
PAGE = Page(blueprint, "Occupancy", frozenset({"count"}))

BAND_WEEKS = 6
HEAT_WEEKS = 4
LEAST_WEEKS = 2

Counts: TypeAlias = tuple[int, ...]

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the series; of a long range with its last week."""
    place = _place()
    try:
        span = _span()
    except RangeError as error:
        return render_template("occupancy.html", span=None, place=place, problem=str(error), presets=PRESETS), 400
    ask = asker()
    newest = span.newest
    found, whole = _series(ask, newest, _where(ask, span), span.step), newest == span
    nobody = whole and not found.peak.distinct_devices
    return render_template(
        "occupancy.html",
        span=span,
        place=place,
        presets=PRESETS,
        whole=whole,
        nobody=nobody,
        people=0 if nobody else None,
        peak=found.peak if whole else None,
        chart=_chart(span, found.series.distinct_devices),
    )


@blueprint.get("/figures")
def figures() -> str:
    """How many in the whole range, and the peak."""
    span, ask = _span(), asker()
    where = _where(ask, span)
    people, found = ask.together(
        partial(ask.kept, "count", span.start, span.end, place=where), partial(_series, ask, span, where)
    )
    return render_template("occupancy_figures.html", span=span, place=_place(), people=people, peak=found.peak)


@blueprint.get("/chart")
def chart() -> str:
    """The whole series; with the week before and what was usual, unless it is longer than a week."""
    span, ask = _span(), asker()
    where = _where(ask, span)
    if span.width > WEEK:
        return render_template("occupancy_chart.html", chart=_chart(span, _counts(ask, span, where)))
    before = span.earlier(1)
    current, *weeks = ask.together(
        partial(_counts, ask, span, where),
        *(partial(_counts, ask, span.earlier(week), where, old=True) for week in range(1, BAND_WEEKS + 1)),
    )
    people, people_before = ask.together(
        partial(ask.kept, "count", span.start, span.end, place=where),
        partial(ask.kept, "count", before.start, before.end, place=where, old=True),
    )
    return render_template(
        "occupancy_chart.html", chart=_chart(span, current, weeks), people=people, people_before=people_before
    )


@blueprint.get("/weeks")
def weeks() -> str:
    """The mean of each hour of the week."""
    span, ask = _span(), asker()
    end = span.end.replace(minute=0, second=0, microsecond=0)
    start = end - HEAT_WEEKS * WEEK
    found: Occupancy = ask.kept("occupancy", start, end, _HOUR, place=_where(ask, span), old=True)
    heat = heat_map(start, found.series.distinct_devices, zone())
    return render_template("occupancy_weeks.html", heat=heat, days=DAYS, weeks=HEAT_WEEKS)


@blueprint.get("/places")
def places() -> str:
    """Places and floors by their number of people."""
    span, ask = _span(), asker()
    floors = places_before(ask, span.end).groups()
    by_place, by_floor = ask.together(
        partial(ask.kept, "count_by_place", span.start, span.end),
        partial(ask.kept, "count_by_place", span.start, span.end, groups=floors),
    )
    return render_template(
        "occupancy_places.html",
        places=list(by_place),
        floors=[each for each in by_floor if each.place in floors],
        span=span,
    )


@blueprint.get("/names")
def names() -> str:
    """What can be entered as a place."""
    known = places_before(asker(), now() if not request.args.get("to") else _span().end)
    return render_template("place_names.html", names=[*locations(known), *(place.place for place in known)])


def _span() -> Range:
    return read_range(request.args, zone(), whole_quarter(now()))


def _place() -> str:
    return request.args.get("place", "").strip()


def _where(ask: Asker, span: Range) -> str | list[str] | None:
    return meant(ask, _place(), span.end)


def _series(ask: Asker, span: Range, where: Any, step: timedelta | None = None, *, old: bool = False) -> Occupancy:  # noqa: ANN401  # as `Client.occupancy`
    found: Occupancy = ask.kept("occupancy", span.start, span.end, step or span.step, place=where, old=old)
    return found


def _counts(ask: Asker, span: Range, where: Any, *, old: bool = False) -> Counts:  # noqa: ANN401
    return _series(ask, span, where, old=old).series.distinct_devices


def _chart(span: Range, counts: Counts, weeks: Sequence[Counts] = ()) -> LineChart:
    """The series, or what is known of its end, and the weeks before, the latest first, if they are given."""
    steps = max(len(counts), -(-span.width // span.step))
    unknown = (None,) * (steps - len(counts))
    lines = [Line("This range", "current", unknown + counts)]
    lines += [Line("A week before", "before", week) for week in weeks[:1]]
    band, middle = _band(_known(weeks, max(1, _DAY // span.step)))
    return line_chart(
        "Distinct devices over time",
        span.start,
        span.step,
        lines + middle,
        zone(),
        band=band,
        peak=counts.index(max(counts)) if any(counts) and not unknown else None,
    )


def _known(weeks: Sequence[Counts], day: int) -> list[Counts]:
    """Those of some weeks, the latest first, that have records; not the one in which the records begin.

    >>> _known([(0, 7, 7, 7), (0, 0, 0, 0), (7, 0, 7, 7), (0, 0, 7, 7), (0, 0, 0, 0)], day=2)
    [(0, 7, 7, 7), (7, 0, 7, 7)]
    """
    known = [week for week in weeks if any(week)]
    return known if not known or any(known[-1][:day]) else known[:-1]


def _band(weeks: list[Counts]) -> tuple[Band | None, list[Line]]:
    """The quartiles of each step over some weeks, and their median; nothing if there are not enough."""
    if len(weeks) < LEAST_WEEKS:
        return None, []
    quartiles = [quantiles(step, n=4, method="inclusive") for step in zip(*weeks, strict=True)]
    low, middle, high = zip(*quartiles, strict=True)
    return Band("Half of the weeks before", low, high), [Line(f"Median of {len(weeks)} weeks", "median", middle)]
