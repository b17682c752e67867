"""Who is logged in: by a client certificate, which comes with each request, or by a password and a session."""

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

from privacyplease.dashboard.settings import Settings

# Set by `serving.Adapter` from a certificate that TLS has verified; no header of a request can set it.
CERTIFICATE_NAME = "privacyplease.client"

MOST_LOGINS = 10_000
_PER_NAME, _PER_ADDRESS = parse("5 per minute"), parse("30 per minute")
# Nobody else may try between a look at what has failed and a note of it. This bounds the memory of Argon2, too.
_ONE_AT_A_TIME = threading.Lock()

blueprint = Blueprint("logins", __name__)


class Login(NamedTuple):
    """A login: whose, since when and when it was last used, in seconds."""

    person: str
    begun: float
    used: float


class Logins:
    """Sessions, in memory alone: they end with the dashboard. Safe to use from many threads."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle, self._lifetime = settings.idle.total_seconds(), settings.lifetime.total_seconds()
        self._clock = clock
        self._known: dict[str, Login] = {}
        self._lock = threading.Lock()

    def begin(self, person: str) -> str:
        """Logs a person in and returns the name of the session."""
        name, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            self._known = {key: login for key, login in self._known.items() if self._lasts(login)}
            while len(self._known) >= MOST_LOGINS:
                self._known.pop(next(iter(self._known)))
            self._known[name] = Login(person, now, now)
        return name

    def person(self, name: str) -> str | None:
        """Whose session this is, which counts as a use of it; None if it has ended."""
        with self._lock:
            login = self._known.pop(name, None)
            if login is None or not self._lasts(login):
                return None
            self._known[name] = login._replace(used=self._clock())
            return login.person

    def end(self, name: str) -> None:
        """Logs out."""
        with self._lock:
            self._known.pop(name, None)

    def _lasts(self, login: Login) -> bool:
        now = self._clock()
        return now - login.used < self._idle and now - login.begun < self._lifetime


def register(app: Flask, settings: Settings) -> None:
    """Adds login and logout."""
    app.extensions["logins"] = Logins(settings)
    app.extensions["login attempts"] = MovingWindowRateLimiter(MemoryStorage())
    app.extensions["passwords"] = settings.passwords
    app.register_blueprint(blueprint)


def person() -> str | None:
    """Who is logged in; None for nobody."""
    return certified() or _logins().person(str(session.get("login", "")))


def certified() -> str | None:
    """Whose certificate the browser shows, if any."""
    return request.environ.get(CERTIFICATE_NAME)


@blueprint.get("/login")
def form() -> Response | str:
    """Asks who it is."""
    return redirect(url_for("now.page")) if person() else render_template("login.html")


@blueprint.post("/login")
def log_in() -> Response | tuple[str, int]:
    """Begins a session. A password that is right does not help whoever has tried too often."""
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    with _ONE_AT_A_TIME:
        if not _may_try(name):
            return render_template("login.html", problem="Too many attempts. Wait a minute and try again."), 429
        passwords = current_app.extensions["passwords"]
        if passwords is None or not passwords.verify(name, password):
            _failed(name)
            return render_template("login.html", problem="Name or password is wrong.", name=name), 401
    session.clear()
    session["login"] = _logins().begin(name)
    return redirect(url_for("now.page"))


@blueprint.post("/logout")
def log_out() -> Response:
    """Ends the session, here and in the browser."""
    _logins().end(str(session.get("login", "")))
    session.clear()
    return redirect(url_for("logins.form"))


def _may_try(name: str) -> bool:
    """Whether not too many have failed of late."""
    attempts, address = _attempts()
    return attempts.test(_PER_ADDRESS, address) and attempts.test(_PER_NAME, address, name)


def _failed(name: str) -> None:
    attempts, address = _attempts()
    attempts.hit(_PER_ADDRESS, address)
    attempts.hit(_PER_NAME, address, name)


def _attempts() -> tuple[MovingWindowRateLimiter, str]:
    """Logins that failed, and where this one comes from."""
    attempts: MovingWindowRateLimiter = current_app.extensions["login attempts"]
    return attempts, request.remote_addr or ""


def _logins() -> Logins:
    logins: Logins = current_app.extensions["logins"]
    return logins
