"""What the server sees: a question, the tags that were sent, the cells that were returned, and the answer."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from privacyplease.client import PrivacyPleaseError
from privacyplease.dashboard.error_states import error_state
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.proxy_queries import proxy_queries
from privacyplease.dashboard.ranges import RangeError, read_range

blueprint = Blueprint("server", __name__, url_prefix="/server")
PAGE = DashboardPage(blueprint, "What the server sees", frozenset({"admin"}))

MOST_TAGS_SHOWN = 12
MOST_CELLS_SHOWN = 8


@blueprint.get("")
def page() -> str:
    """The form."""
    return _page()


@blueprint.post("")
def answer() -> str | tuple[str, int]:
    """The question, what the server saw of it, and the answer."""
    form = request.form
    device, place = form.get("device", "").strip(), form.get("place", "").strip()
    try:
        span = read_range(form, zone(), now())
        explanation = proxy_queries().client.explain(
            span.start, span.end, device=device, place=place, purpose=form.get("purpose", "").strip()
        )
    except RangeError as error:
        return _page(problem=str(error)), 400
    except PrivacyPleaseError as error:
        state = error_state(error)
        return _page(state=state), state.status
    return _page(
        span=span,
        device=device,
        place=place,
        explanation=explanation,
        tags=explanation.first_tags[:MOST_TAGS_SHOWN],
        cells=explanation.first_cells[:MOST_CELLS_SHOWN],
    )


def _page(**answer: object) -> str:
    return render_template("server.html", form=request.form, **answer)
