"""System: how the proxy and the storage server are doing."""

from __future__ import annotations

from flask import Blueprint, render_template

from privacyplease.dashboard.asking import asker
from privacyplease.dashboard.pages.page import Page

blueprint = Blueprint("system", __name__, url_prefix="/system")
PAGE = Page(blueprint, "System", frozenset({"admin"}))


@blueprint.get("")
def page() -> str:
    """The page."""
    status = asker().client.status()
    return render_template("system.html", status=status, refused=sum(status.answers.refused.values()))
