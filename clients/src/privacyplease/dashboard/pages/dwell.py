"""Dwell: how long people stay, and who comes again."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, render_template, request

from privacyplease.client import Dwell
from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.charts.bars import bar_chart
from privacyplease.dashboard.formats import humanised, now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.places import meant
from privacyplease.dashboard.ranges import PRESETS, RangeError, read_range

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
    """The page, with the lengths of sessions."""
    place = request.args.get("place", "").strip()
    try:
        span = read_range(request.args, zone(), now())
    except RangeError as error:
        return render_template("dwell.html", span=None, place=place, problem=str(error), presets=PRESETS), 400
    ask = asker()
    found: Dwell = ask.kept("dwell", span.start, span.end, bounds=BOUNDS, place=meant(ask, place, span.end))
    return render_template(
        "dwell.html",
        span=span,
        place=place,
        presets=PRESETS,
        found=found,
        sessions=sum(found.sessions),
        chart=bar_chart("Sessions by length", LABELS, found.sessions),
    )


@blueprint.get("/devices")
def devices() -> str:
    """New and returning devices."""
    span = read_range(request.args, zone(), now())
    ask = asker()
    where = meant(ask, request.args.get("place", "").strip(), span.end)
    found: Dwell = ask.kept("dwell", span.start, span.end, look_back=LOOK_BACK, place=where)
    return render_template("dwell_devices.html", found=found, look_back=LOOK_BACK)
