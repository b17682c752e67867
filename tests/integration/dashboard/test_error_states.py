"""The pages when the storage server's answer cannot be trusted, and when the proxy is unavailable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.dashboard.conftest import PASSWORD, log_in
from tests.integration.dashboard.page_checks import readability_problems
from tests.services.dashboard import dashboard
from tests.services.stack import Stack, stack

LOG = """Client MAC Address,AP Name,Association Time,Session Duration
02:00:00:00:00:01,ap-1,Tue Oct 01 08:00:00 UTC 2024,30 min 0 sec
"""
RANGE = "/occupancy?from=2024-10-01T08:00Z&to=2024-10-01T09:00Z"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def running(folder: Path) -> Iterator[Stack]:
    (folder / "log.csv").write_text(LOG)
    with stack(f"sqlite:///{folder}/cells.db", flags=["--cache-mib", "0"]) as running:
        running.command("ingest", "wifi", str(folder / "log.csv"))
        yield running


@pytest.fixture(scope="module")
def page(browser: Browser, running: Stack) -> Iterator[Page]:
    with dashboard(running.home, operator=PASSWORD) as address:
        context = browser.new_context(base_url=address)
        page = context.new_page()
        log_in(page, address, "operator")
        yield page
        context.close()


def test_an_answer_that_cannot_be_trusted_is_not_shown_even_in_part(page: Page, folder: Path) -> None:
    page.goto(RANGE)
    expect(page.locator("#peak")).to_have_text("1")
    with sqlite3.connect(folder / "cells.db") as database:
        database.execute("DELETE FROM cells")
    response = page.goto(f"{RANGE}&place=ap-1")  # a new question, so the dashboard has no cached answer
    assert response is not None
    assert response.status == 502
    expect(page.locator(".state.distrust")).to_contain_text("The storage server cannot be trusted")
    assert page.locator("#peak").count() == 0
    page.goto("/system")
    expect(page.locator("#refused")).not_to_have_text("0")
    page.click("text=Verify")
    expect(page.locator("#verification .state.distrust")).to_contain_text("The store failed verification")
    assert page.locator("#findings tbody tr").count() > 0
    assert readability_problems(page) == []


def test_a_page_says_that_the_proxy_is_unavailable(page: Page, running: Stack) -> None:
    running.command("down")
    response = page.goto(f"{RANGE}&place=ap-2")
    assert response is not None
    assert response.status == 503
    expect(page.locator(".state.unavailable")).to_contain_text("The proxy is unavailable")
    assert readability_problems(page) == []
