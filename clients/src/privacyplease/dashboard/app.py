"""Assembles the dashboard: its pages, logins, security headers and error pages."""

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
from privacyplease.dashboard.error_states import error_state
from privacyplease.dashboard.pages import PAGES
from privacyplease.dashboard.proxy_queries import AnswerCache, proxy_queries
from privacyplease.dashboard.ranges import RangeError
from privacyplease.dashboard.settings import DashboardSettings

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


def create_app(client: Client, settings: DashboardSettings) -> Flask:
    """Creates a dashboard as a WSGI application.

    Args:
        client: A client of the proxy whose identity may act on behalf of users.
        settings: Everything else.
    """
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),  # sessions are in memory, so none needs it after a restart
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=settings.secure,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_NAME="__Host-session" if settings.secure else "session",
        MAX_CONTENT_LENGTH=64 * 1024,
        WTF_CSRF_TIME_LIMIT=int(settings.lifetime / timedelta(seconds=1)),
    )
    app.extensions.update({"client": client, "answers": AnswerCache(), "zone": settings.zone, "clock": settings.clock})
    app.extensions["refresh"] = settings.refresh
    CSRFProtect(app)
    logins.register(app, settings)
    for page in PAGES:
        app.register_blueprint(page.blueprint)
        app.before_request_funcs.setdefault(page.blueprint.name, []).append(_require(page.roles))
    app.add_url_rule("/", "start", lambda: redirect(url_for("now.page")))
    app.context_processor(_template_variables)
    formats.register(app)
    app.after_request(_add_security_headers)
    app.register_error_handler(PrivacyPleaseError, _sdk_error)
    app.register_error_handler(RangeError, _range_error)
    app.register_error_handler(HTTPException, _http_error)
    return app


def _require(roles: frozenset[str]) -> Callable[[], Response | tuple[str, int] | None]:
    """Admits only users who are logged in and have one of the roles."""

    def admit() -> Response | tuple[str, int] | None:
        user = logins.user()
        if user is None:
            return redirect(url_for("logins.form"))
        g.user = user
        if roles and not roles & set(proxy_queries().access().roles):
            needed = " or ".join(sorted(roles))
            return _error_page(403, "refused", "You do not have access to this page", f"It needs the role {needed}.")
        return None

    return admit


def _template_variables() -> dict[str, Any]:
    """The variables that every template may use."""
    if "user" not in g:
        g.user = logins.user()
    roles = _roles()
    pages = [page for page in PAGES if not page.roles or page.roles & roles]
    shown = pages if g.user else []
    return {"user": g.user, "roles": roles, "pages": shown, "certified": bool(logins.certified())}


def _roles() -> set[str]:
    """The roles of the user; none while the proxy cannot be asked."""
    try:
        return set(proxy_queries().access().roles) if g.user else set()
    except PrivacyPleaseError:
        return set()


def _sdk_error(error: PrivacyPleaseError) -> tuple[str, int]:
    """The page for what the proxy refused or could not answer."""
    state = error_state(error)
    return _error_page(state.status, state.kind, state.title, state.text)


def _range_error(error: RangeError) -> tuple[str, int]:
    return _error_page(400, "refused", "This question is not valid", str(error))


def _http_error(error: HTTPException) -> Response | tuple[str, int]:
    if isinstance(error, CSRFError):
        return _error_page(400, "refused", "The form has expired", "Go back, reload the page and try again.")
    code = error.code or 500
    return _error_page(code, "error", error.name, error.description or "")


def _error_page(status: int, kind: str, title: str, text: str) -> tuple[str, int]:
    """A whole page, or only the message where a part of a page was requested."""
    template = "error.html" if request.headers.get("X-Fragment") else "error_page.html"
    return render_template(template, kind=kind, title=title, text=text), status


def _add_security_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
