"""The real stack with the real log, a dashboard in front of it, and a browser: once for all tests of the folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from privacyplease.client import Client
from privacyplease.ingest import bikes
from privacyplease.ingest.feeds.jcdecaux import read_stations
from tests.integration.known_answers import DATA, LARGE, questions
from tests.services.dashboard import browsing, dashboard
from tests.services.stack import Stack, stack

PASSWORD = "correct horse battery staple"
PEOPLE = ("counter", "nobody", "runner", "warden")
POLICY = """
[clients.counter]
roles = ["count"]

[clients.runner]
roles = ["admin"]

[clients.nobody]
roles = []

[clients.warden]
roles = ["presence"]
purposes = ["fire drill", "lost property"]
"""

Visit = Callable[..., Page]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    questions()
    with stack(f"sqlite:///{tmp_path_factory.mktemp('store')}/cells.db") as running:
        policy = running.home / "proxy" / "policy.toml"
        policy.write_text(policy.read_text() + POLICY)
        running.command("ingest", "wifi", str(LARGE))
        ingest_bikes(running.client)
        yield running


def ingest_bikes(client: Client) -> None:
    """Ten polls of one contract, a minute apart."""
    polls = (DATA / "bikes" / "besancon_snapshots_v1.ndjson").read_text().splitlines()
    for number, poll in enumerate(polls):
        snapshot = read_stations(json.loads(poll), "jcdecaux-v1", 1_727_769_600_000 + number * 60_000)
        parsed = bikes.parse([station.message() for station in snapshot.stations])
        list(client.ingest("bikes", [parsed.table]))


@pytest.fixture(scope="session")
def address(running: Stack) -> Iterator[str]:
    with dashboard(running.home, operator=PASSWORD, **dict.fromkeys(PEOPLE, PASSWORD)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One per file: while it is open its event loop runs in the thread of the tests, where only one may run."""
    with browsing() as browser:
        yield browser


class Visitors:
    """The users of the dashboard, each logged in once, in browser contexts that record errors and foreign requests.

    Attributes:
        complaints: The errors, and the requests to other hosts.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self.complaints: list[str] = []
        self._browser, self._address = browser, address
        self._logins: dict[str, list[Any]] = {}
        self._contexts: list[BrowserContext] = []

    def visit(self, path: str, person: str | None = "operator", theme: str = "light", width: int = 1280) -> Page:
        """Opens a page as a user, or without a login."""
        context = self._browser.new_context(
            color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": 900}
        )
        self._contexts.append(context)
        context.on("request", lambda request: self._look_at(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if "Content Security" in said.text else None)
        if person and person not in self._logins:
            log_in(page, self._address, person)
            self._logins[person] = context.cookies()
        if person:
            context.add_cookies(self._logins[person])
        page.goto(f"{self._address}{path}")
        return page

    def leave(self) -> list[str]:
        """Closes all contexts and returns the complaints."""
        while self._contexts:
            self._contexts.pop().close()
        complaints, self.complaints = self.complaints, []
        return complaints

    def _look_at(self, url: str) -> None:
        if not url.startswith((f"{self._address}/", "data:")):
            self.complaints.append(url)


@pytest.fixture(scope="module")
def visitors(browser: Browser, address: str) -> Visitors:
    return Visitors(browser, address)


@pytest.fixture
def visit(visitors: Visitors) -> Iterator[Visit]:
    """Opens a page as a user."""
    yield visitors.visit
    assert visitors.leave() == []


def log_in(page: Page, address: str, person: str, password: str = PASSWORD) -> None:
    page.goto(f"{address}/login")
    page.fill("[name=name]", person)
    page.fill("[name=password]", password)
    page.click("main button")
