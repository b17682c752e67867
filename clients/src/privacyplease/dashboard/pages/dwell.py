"""Dwell: how long people stay, and how many come back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request

from privacyplease.client import Dwell
from privacyplease.dashboard.charts.bars import bar_chart
from privacyplease.dashboard.formats import humanised, now, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.places import resolve_place
from privacyplease.dashboard.proxy_queries import proxy_queries
from privacyplease.dashboard.ranges import PRESETS, ChosenRange, RangeError, read_range, whole_quarter

blueprint = Blueprint("dwell", __name__, url_prefix="/dwell")
PAGE = DashboardPage(blueprint, "Dwell", frozenset({"count"}))

LOOK_BACK = timedelta(days=28)
BOUNDS = [
    timedelta(seconds=1),
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8)),
]
LABELS = ["0 s", *(f"to {humanised(bound)}" for bound in BOUNDS[1:]), f"{humanised(BOUNDS[-1])} or more"]


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the lengths of sessions; for a long range, first those of its last week."""
    place = _place()
    try:
        span = _span()
    except RangeError as error:
        return render_template("dwell.html", span=None, place=place, problem=str(error), presets=PRESETS), 400
    newest = span.newest
    return render_template(
        "dwell.html", span=span, place=place, presets=PRESETS, whole=newest == span, **_lengths(newest)
    )


@blueprint.get("/lengths")
def lengths() -> str:
    """Only the lengths of sessions."""
    span = _span()
    return render_template("dwell_lengths.html", span=span, place=_place(), whole=True, **_lengths(span))


@blueprint.get("/devices")
def devices() -> str:
    """New and returning devices."""
    span, queries = _span(), proxy_queries()
    where = resolve_place(queries, _place(), span.end)
    dwell: Dwell = queries.cached("dwell", span.start, span.end, look_back=LOOK_BACK, place=where)
    return render_template("dwell_devices.html", dwell=dwell)


def _lengths(span: ChosenRange) -> dict[str, Any]:
    queries = proxy_queries()
    where = resolve_place(queries, _place(), span.end)
    dwell: Dwell = queries.cached("dwell", span.start, span.end, bounds=BOUNDS, place=where)
    chart = bar_chart("Sessions by length", LABELS, dwell.sessions)
    return {"answered": span, "median": dwell.median, "sessions": sum(dwell.sessions), "chart": chart}


def _span() -> ChosenRange:
    return read_range(request.args, zone(), whole_quarter(now()))


def _place() -> str:
    return request.args.get("place", "").strip()
