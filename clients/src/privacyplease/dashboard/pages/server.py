"""What the server sees: a question, the tags that were sent, the cells that came back, and the answer."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from privacyplease.client import PrivacyPleaseError
from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.ranges import RangeError, read_range
from privacyplease.dashboard.states import state_of

blueprint = Blueprint("server", __name__, url_prefix="/server")
PAGE = Page(blueprint, "What the server sees", frozenset({"admin"}))

MOST_TAGS_SHOWN = 12
MOST_CELLS_SHOWN = 8


@blueprint.get("")
def page() -> str:
    """The question."""
    return render_template("server.html", given=request.form)


@blueprint.post("")
def answer() -> str | tuple[str, int]:
    """The question, and what became of it."""
    given = request.form
    device, place = given.get("device", "").strip(), given.get("place", "").strip()
    try:
        span = read_range(given, zone(), now())
        seen = asker().client.explain(
            span.start, span.end, device=device, place=place, purpose=given.get("purpose", "").strip()
        )
    except RangeError as error:
        return render_template("server.html", given=given, problem=str(error)), 400
    except PrivacyPleaseError as error:
        state = state_of(error)
        return render_template("server.html", given=given, state=state), state.status
    return render_template(
        "server.html",
        given=given,
        span=span,
        device=device,
        place=place,
        seen=seen,
        tags=seen.first_tags[:MOST_TAGS_SHOWN],
        cells=seen.first_cells[:MOST_CELLS_SHOWN],
    )
