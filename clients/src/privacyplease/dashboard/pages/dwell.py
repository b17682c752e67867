"""Dwell: how long people stay, and who comes again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request

from privacyplease.client import Dwell
from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.charts.bars import bar_chart
from privacyplease.dashboard.formats import humanised, now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.places import meant
from privacyplease.dashboard.ranges import PRESETS, Range, RangeError, read_range, whole_quarter

blueprint = Blueprint("dwell", __name__, url_prefix="/dwell")
PAGE = Page(blueprint, "Dwell", frozenset({"count"}))

LOOK_BACK = timedelta(days=28)
BOUNDS = [
    timedelta(seconds=1),
    *(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8)),
]
LABELS = ["0 s", *(f"to {humanised(bound)}" for bound in BOUNDS[1:]), f"{humanised(BOUNDS[-1])} on"]


@blueprint.get("")
def page() -> str | tuple[str, int]:
    """The page, with the lengths of sessions; of a long range with those of its last week."""
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
    """The lengths of sessions alone."""
    span = _span()
    return render_template("dwell_lengths.html", span=span, place=_place(), whole=True, **_lengths(span))


@blueprint.get("/devices")
def devices() -> str:
    """New and returning devices."""
    span, ask = _span(), asker()
    where = meant(ask, _place(), span.end)
    found: Dwell = ask.kept("dwell", span.start, span.end, look_back=LOOK_BACK, place=where)
    return render_template("dwell_devices.html", found=found)


def _lengths(span: Range) -> dict[str, Any]:
    ask = asker()
    where = meant(ask, _place(), span.end)
    found: Dwell = ask.kept("dwell", span.start, span.end, bounds=BOUNDS, place=where)
    chart = bar_chart("Sessions by length", LABELS, found.sessions)
    return {"answered": span, "median": found.median, "sessions": sum(found.sessions), "chart": chart}


def _span() -> Range:
    return read_range(request.args, zone(), whole_quarter(now()))


def _place() -> str:
    return request.args.get("place", "").strip()
