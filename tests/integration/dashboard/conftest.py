"""The real stack with the real log, a dashboard in front of it, and a browser: once for all tests of the folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from privacyplease.client import Client
from privacyplease.ingest import bikes
from privacyplease.ingest.feeds.jcdecaux import read_stations
from tests.integration.known_answers import DATA, LARGE, questions
from tests.services.dashboard import browsing, dashboard
from tests.services.stack import Stack, stack

PASSWORD = "correct horse battery staple"
PEOPLE = ("counter", "nobody", "warden")
POLICY = """
[clients.counter]
roles = ["count"]

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
    """One for each file: while it is open, its event loop runs in the thread of the tests, and no other may."""
    with browsing() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Visit]:
    """Logs somebody in and opens a page, in a browser that notes what goes wrong and what it asks for."""
    contexts: list[BrowserContext] = []
    strangers: list[str] = []
    complaints: list[str] = []

    def visit(path: str, person: str = "operator", theme: str = "light", width: int = 1280) -> Page:
        context = browser.new_context(
            color_scheme="dark" if theme == "dark" else "light", viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        context.on("request", lambda request: strangers.append(request.url) if not _own(request.url, address) else None)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        log_in(page, address, person)
        page.goto(f"{address}{path}")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert strangers == []
    assert complaints == []


def log_in(page: Page, address: str, person: str, password: str = PASSWORD) -> None:
    page.goto(f"{address}/login")
    page.fill("[name=name]", person)
    page.fill("[name=password]", password)
    page.click("main button")


def _own(url: str, address: str) -> bool:
    return url.startswith((f"{address}/", "data:"))
