"""Logins: by a client certificate, which comes with each request, or by a password, which begins a session."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from flask import Blueprint, Flask, current_app, redirect, render_template, request, session, url_for
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from werkzeug.wrappers import Response

from privacyplease.dashboard.settings import DashboardSettings

# Set by `serving.ClientCertificateAdapter` from a certificate that TLS has verified; no request header can set it.
CERTIFICATE_NAME = "privacyplease.client"

MOST_SESSIONS = 10_000
_PER_NAME, _PER_ADDRESS = parse("5 per minute"), parse("30 per minute")
# Makes checking the limit and counting a failure one step. It bounds the memory of Argon2, too.
_ONE_AT_A_TIME = threading.Lock()

blueprint = Blueprint("logins", __name__)


class LoginSession(NamedTuple):
    """A session: its user, and when it began and was last used, in seconds."""

    user: str
    begun: float
    used: float


class LoginSessions:
    """The sessions, kept only in memory: they end with the dashboard. Thread-safe."""

    def __init__(self, settings: DashboardSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle, self._lifetime = settings.idle.total_seconds(), settings.lifetime.total_seconds()
        self._clock = clock
        self._sessions: dict[str, LoginSession] = {}
        self._lock = threading.Lock()

    def begin(self, user: str) -> str:
        """Begins a session for a user and returns its token."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._sessions = {key: login for key, login in self._sessions.items() if self._is_valid(login)}
            while len(self._sessions) >= MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[token] = LoginSession(user, now, now)
        return token

    def user(self, token: str) -> str | None:
        """The user of a session, which is thereby used; None if it has ended."""
        with self._lock:
            login = self._sessions.pop(token, None)
            if login is None or not self._is_valid(login):
                return None
            self._sessions[token] = login._replace(used=self._clock())
            return login.user

    def end(self, token: str) -> None:
        """Ends a session."""
        with self._lock:
            self._sessions.pop(token, None)

    def _is_valid(self, login: LoginSession) -> bool:
        now = self._clock()
        return now - login.used < self._idle and now - login.begun < self._lifetime


def register(app: Flask, settings: DashboardSettings) -> None:
    """Adds login and logout."""
    app.extensions["login sessions"] = LoginSessions(settings)
    app.extensions["failed logins"] = MovingWindowRateLimiter(MemoryStorage())
    app.extensions["passwords"] = settings.passwords
    app.register_blueprint(blueprint)


def user() -> str | None:
    """The user who is logged in, if any."""
    return certified() or _sessions().user(str(session.get("login", "")))


def certified() -> str | None:
    """The name in the browser's client certificate, if it has one."""
    return request.environ.get(CERTIFICATE_NAME)


@blueprint.get("/login")
def form() -> Response | str:
    """The login form."""
    return redirect(url_for("now.page")) if user() else render_template("login.html")


@blueprint.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Begins a session. After too many failed attempts even the right password is refused."""
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    with _ONE_AT_A_TIME:
        if not _may_try(name):
            return render_template("login.html", problem="Too many attempts. Wait a minute and try again."), 429
        passwords = current_app.extensions["passwords"]
        if passwords is None or not passwords.verify(name, password):
            _count_failure(name)
            return render_template("login.html", problem="The name or the password is wrong.", name=name), 401
    session.clear()
    session["login"] = _sessions().begin(name)
    return redirect(url_for("now.page"))


@blueprint.post("/logout")
def log_out() -> Response:
    """Ends the session, on the server and in the browser."""
    _sessions().end(str(session.get("login", "")))
    session.clear()
    return redirect(url_for("logins.form"))


def _may_try(name: str) -> bool:
    """Whether few enough logins have failed recently."""
    failures, address = _failed_logins()
    return failures.test(_PER_ADDRESS, address) and failures.test(_PER_NAME, address, name)


def _count_failure(name: str) -> None:
    failures, address = _failed_logins()
    failures.hit(_PER_ADDRESS, address)
    failures.hit(_PER_NAME, address, name)


def _failed_logins() -> tuple[MovingWindowRateLimiter, str]:
    """The failed logins, and the address of this request."""
    failures: MovingWindowRateLimiter = current_app.extensions["failed logins"]
    return failures, request.remote_addr or ""


def _sessions() -> LoginSessions:
    sessions: LoginSessions = current_app.extensions["login sessions"]
    return sessions
