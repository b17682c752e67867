"""Presence: where a device was. Asked by POST, so that no device stands in an address, a history or a log."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from privacyplease.client import PrivacyPleaseError
from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.charts.timeline import MOST_ROWS, timelines
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.ranges import PRESETS, RangeError, read_range
from privacyplease.dashboard.states import state_of

blueprint = Blueprint("presence", __name__, url_prefix="/presence")
PAGE = Page(blueprint, "Presence", frozenset({"presence", "self"}))

MOST_SESSIONS_SHOWN = 500


@blueprint.get("")
def page() -> str:
    """The question."""
    return _form()


@blueprint.post("")
def answer() -> str | tuple[str, int]:
    """Whether the device was seen, and then where."""
    given = request.form
    try:
        span = read_range(given, zone(), now())
        device, purpose = given.get("device", "").strip(), given.get("purpose", "").strip()
        found = asker().client.presence(device, span.start, span.end, purpose=purpose)
    except RangeError as error:
        return _form(problem=str(error)), 400
    except PrivacyPleaseError as error:
        state = state_of(error)
        return _form(state=state), state.status
    sessions = list(found.sessions)
    return _form(
        found=found,
        span=span,
        sessions=sessions[:MOST_SESSIONS_SHOWN],
        count=len(sessions),
        places=len({session.place for session in sessions}),
        purpose=purpose,
        drawn=timelines(sessions, span.start, span.end, zone()),
        most_rows=MOST_ROWS,
    )


def _form(**answer: object) -> str:
    return render_template("presence.html", given=request.form, presets=PRESETS, access=asker().access(), **answer)
