"""System: how the proxy and the storage server are doing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template

from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.pages.page import Page

blueprint = Blueprint("system", __name__, url_prefix="/system")
PAGE = Page(blueprint, "System", frozenset({"admin"}))

AUDIT_TAIL = timedelta(hours=24)
MOST_ENTRIES = 100


@blueprint.get("")
def page() -> str:
    """The page."""
    status = asker().client.status()
    return render_template("system.html", status=status, refused=sum(status.answers.refused.values()))


@blueprint.get("/audit")
def audit() -> str:
    """The end of the audit log. That somebody looked is recorded there, too."""
    now = datetime.now(UTC)
    entries = asker().client.audit_entries(now - AUDIT_TAIL, now)
    newest = entries[: -MOST_ENTRIES - 1 : -1]
    return render_template("system_audit.html", entries=newest, hidden=len(entries) - len(newest))


@blueprint.get("/audit/verdict")
def audit_verdict() -> str:
    """Whether anybody has been at the audit log."""
    return render_template("system_verdict.html", verdict=asker().client.verify_audit())
