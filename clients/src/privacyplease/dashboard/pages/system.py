"""System: the state of the proxy and the storage server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template, request

from privacyplease.client import PrivacyPleaseError, Status
from privacyplease.dashboard.error_states import error_state
from privacyplease.dashboard.formats import now, zone
from privacyplease.dashboard.pages.page import DashboardPage
from privacyplease.dashboard.proxy_queries import proxy_queries
from privacyplease.dashboard.ranges import RangeError, read_moment

blueprint = Blueprint("system", __name__, url_prefix="/system")
PAGE = DashboardPage(blueprint, "System", frozenset({"admin"}))

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
    """Verifies the store against the manifest, which takes as long as reading it. It uses POST: it is on record."""
    form = request.form
    try:
        start, end = (read_moment(form.get(name, ""), zone(), label) for name, label in _FIELDS)
        verification = proxy_queries().client.verify(start, end)
    except RangeError as error:
        return _page(problem=str(error)), 400
    except PrivacyPleaseError as error:
        state = error_state(error)
        return _page(state=state), state.status
    return _page(verification=verification, start=start, end=end, most_findings=MOST_FINDINGS)


@blueprint.get("/audit")
def audit() -> str:
    """The newest entries of the audit log. Reading them is itself recorded there."""
    end = datetime.now(UTC)
    entries = proxy_queries().client.audit_entries(end - AUDIT_TAIL, end)
    newest = entries[: -MOST_ENTRIES - 1 : -1]
    return render_template("system_audit.html", entries=newest, hidden=len(entries) - len(newest))


@blueprint.get("/audit/verdict")
def audit_verdict() -> str:
    """Whether the audit log was tampered with."""
    return render_template("system_audit_verdict.html", verdict=proxy_queries().client.verify_audit())


def _page(**verified: object) -> str:
    status: Status = proxy_queries().client.status()
    return render_template(
        "system.html",
        status=status,
        now=now(),
        refused=sum(status.answers.refused.values()),
        form=request.form,
        **verified,
    )
