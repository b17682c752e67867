"""Puts the dashboard together: pages, login, protection, and what is shown when something goes wrong."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask, g, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from privacyplease.client import Client, PrivacyPleaseError
from privacyplease.dashboard import formats, logins
from privacyplease.dashboard.asking import Memory, asker
from privacyplease.dashboard.pages import PAGES
from privacyplease.dashboard.ranges import RangeError
from privacyplease.dashboard.settings import Settings
from privacyplease.dashboard.states import state_of

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def create_app(client: Client, settings: Settings) -> Flask:
    """A dashboard as a WSGI application.

    Args:
        client: Asks the proxy, as an identity that may act for others.
        settings: Everything else.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),  # sessions are in memory, so none outlives it
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_NAME="__Host-session" if settings.secure else "session",
        MAX_CONTENT_LENGTH=64 * 1024,
        WTF_CSRF_TIME_LIMIT=int(settings.lifetime / timedelta(seconds=1)),
    )
    app.extensions.update({"client": client, "memory": Memory(), "zone": settings.zone, "clock": settings.clock})
    app.extensions["refresh"] = settings.refresh
    CSRFProtect(app)
    logins.register(app, settings)
    for page in PAGES:
        app.register_blueprint(page.blueprint)
        app.before_request_funcs.setdefault(page.blueprint.name, []).append(_admitting(page.roles))
    app.add_url_rule("/", "start", lambda: redirect(url_for("now.page")))
    app.context_processor(_shared)
    formats.register(app)
    app.after_request(_protected)
    app.register_error_handler(PrivacyPleaseError, _failed)
    app.register_error_handler(RangeError, _unreadable)
    app.register_error_handler(HTTPException, _refused)
    return app


def _admitting(roles: frozenset[str]) -> Callable[[], Response | tuple[str, int] | None]:
    """Lets those in who are logged in and have one of the roles."""

    def admit() -> Response | tuple[str, int] | None:
        person = logins.person()
        if person is None:
            return redirect(url_for("logins.form"))
        g.person = person
        if roles and not roles & set(asker().access().roles):
            needed = " or ".join(sorted(roles))
            return _shown(403, "refused", "This page is not for you", f"It takes the role {needed}.")
        return None

    return admit


def _shared() -> dict[str, Any]:
    """What every template may use."""
    if "person" not in g:
        g.person = logins.person()
    person, roles = g.person, _roles()
    pages = [page for page in PAGES if not page.roles or page.roles & roles]
    return {"person": person, "pages": pages if person else [], "certified": bool(logins.certified())}


def _roles() -> set[str]:
    """The roles of whoever is logged in; none while the proxy does not tell."""
    try:
        return set(asker().access().roles) if g.person else set()
    except PrivacyPleaseError:
        return set()


def _failed(error: PrivacyPleaseError) -> tuple[str, int]:
    """What the proxy refused, or could not answer."""
    state = state_of(error)
    return _shown(state.status, state.kind, state.title, state.text)


def _unreadable(error: RangeError) -> tuple[str, int]:
    return _shown(400, "refused", "This cannot be asked", str(error))


def _refused(error: HTTPException) -> Response | tuple[str, int]:
    if isinstance(error, CSRFError):
        return _shown(400, "refused", "The form has expired", "Go back, load the page again and repeat what you did.")
    code = error.code or 500
    return _shown(code, "error", error.name, error.description or "")


def _shown(status: int, kind: str, title: str, text: str) -> tuple[str, int]:
    template = "state.html" if request.headers.get("X-Fragment") else "problem.html"
    return render_template(template, kind=kind, title=title, text=text), status


def _protected(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
