"""System: how the proxy and the storage server are doing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template, request

from privacyplease.client import PrivacyPleaseError, Status
from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import Page
from privacyplease.dashboard.ranges import RangeError, read_moment
from privacyplease.dashboard.states import state_of

blueprint = Blueprint("system", __name__, url_prefix="/system")
PAGE = Page(blueprint, "System", frozenset({"admin"}))

AUDIT_TAIL = timedelta(hours=24)
MOST_ENTRIES = 100
MOST_FINDINGS = 100

_FIELDS = (("from", "From"), ("to", "Until"))


@blueprint.get("")
def page() -> str:
    """The page."""
    return _page()


@blueprint.post("")
def verify() -> str | tuple[str, int]:
    """Compares the store with the manifest, which takes as long as reading it. By POST: it is an act, and recorded."""
    given = request.form
    try:
        start, end = (read_moment(given.get(name, ""), zone(), field) for name, field in _FIELDS)
        found = asker().client.verify(start, end)
    except RangeError as error:
        return _page(problem=str(error)), 400
    except PrivacyPleaseError as error:
        state = state_of(error)
        return _page(state=state), state.status
    return _page(verification=found, start=start, end=end, most_findings=MOST_FINDINGS)


@blueprint.get("/audit")
def audit() -> str:
    """The end of the audit log. That somebody looked is recorded there, too."""
    end = datetime.now(UTC)
    entries = asker().client.audit_entries(end - AUDIT_TAIL, end)
    newest = entries[: -MOST_ENTRIES - 1 : -1]
    return render_template("system_audit.html", entries=newest, hidden=len(entries) - len(newest))


@blueprint.get("/audit/verdict")
def audit_verdict() -> str:
    """Whether anybody has been at the audit log."""
    return render_template("system_verdict.html", verdict=asker().client.verify_audit())


def _page(**verified: object) -> str:
    status: Status = asker().client.status()
    return render_template(
        "system.html",
        status=status,
        now=now(),
        refused=sum(status.answers.refused.values()),
        given=request.form,
        **verified,
    )
