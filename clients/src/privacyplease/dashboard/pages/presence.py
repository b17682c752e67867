"""Presence: where a device was. The form uses POST, so that no device appears in an address, a history or a log."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from privacyplease.client import PrivacyPleaseError
from privacyplease.dashboard.charts.timeline import MOST_ROWS, timelines
from privacyplease.dashboard.error_states import error_state
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.proxy_queries import proxy_queries
from privacyplease.dashboard.ranges import RangeError, read_range

blueprint = Blueprint("presence", __name__, url_prefix="/presence")
PAGE = DashboardPage(blueprint, "Presence", frozenset({"presence", "self"}))

MOST_SESSIONS_SHOWN = 500


@blueprint.get("")
def page() -> str:
    """The form."""
    return _page()


@blueprint.post("")
def answer() -> str | tuple[str, int]:
    """Whether the device was seen, and where."""
    form = request.form
    try:
        span = read_range(form, zone(), now())
        device, purpose = form.get("device", "").strip(), form.get("purpose", "").strip()
        presence = proxy_queries().client.presence(device, span.start, span.end, purpose=purpose)
    except RangeError as error:
        return _page(problem=str(error)), 400
    except PrivacyPleaseError as error:
        state = error_state(error)
        return _page(state=state), state.status
    sessions = list(presence.sessions)
    return _page(
        presence=presence,
        span=span,
        sessions=sessions[:MOST_SESSIONS_SHOWN],
        count=len(sessions),
        places=len({session.place for session in sessions}),
        purpose=purpose,
        drawn=timelines(sessions, span.start, span.end, zone()),
        most_rows=MOST_ROWS,
    )


def _page(**answer: object) -> str:
    return render_template("presence.html", form=request.form, access=proxy_queries().access(), **answer)
