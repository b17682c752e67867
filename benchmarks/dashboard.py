"""How fast each page of the dashboard loads in a browser, over a store of a million sessions.

    python -m benchmarks.dashboard [--sessions N] [--rounds N]

Both servers and the dashboard run as a user starts them, over SQLite. A page has its frame once the heading is visible,
and its content once the chart, the main number, the form or the table is. Each time a page is opened the moment it is
about moves by a minute, so that no answer comes from the dashboard's cache.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from playwright.sync_api import Page, expect

from benchmarks.sessions import CampusSessions
from tests.services.dashboard import browsing, dashboard
from tests.services.stack import stack

PASSWORD = "only for benchmarks"

# The name of a page, its address at a moment, and the selector of its first meaningful content.
PAGES = (
    ("now", "/now?at={at}", "#people"),
    ("occupancy, 24 hours", "/occupancy?to={at}", ".chart svg.wide"),
    ("occupancy, 7 days", "/occupancy?to={at}&range=7d", ".chart svg.wide"),
    ("occupancy, 4 weeks", "/occupancy?to={at}&range=28d", ".chart svg.wide"),
    ("dwell, 24 hours", "/dwell?to={at}", ".chart svg.wide"),
    ("dwell, 7 days", "/dwell?to={at}&range=7d", ".chart svg.wide"),
    ("presence", "/presence", "main button.primary"),
    ("bikes", "/bikes", "main button.primary"),
    ("what the server sees", "/server", "main button.primary"),
    ("system", "/system", "#storage"),
)


def main() -> None:
    """Measures, and prints the median and the slowest times."""
    flags = _parser().parse_args()
    data = CampusSessions(flags.sessions)
    with tempfile.TemporaryDirectory() as folder, stack(f"sqlite:///{folder}/cells.db") as running:
        for _ in running.client.ingest("wifi", data.tables()):
            pass
        print(f"{flags.sessions:,} sessions of {data.days} days, {flags.rounds} rounds")
        print("median seconds until the frame, the content (slowest), and the whole page are visible:")
        with dashboard(running.home, operator=PASSWORD) as address, browsing() as browser:
            page = browser.new_page()
            page.goto(f"{address}/login")
            page.fill("[name=name]", "operator")
            page.fill("[name=password]", PASSWORD)
            page.click("main button")
            for name, path, content in PAGES:
                loads = [_load(page, address + path, content, at) for at in _moments(data, flags.rounds)]
                frame_s, content_s, whole_s = (statistics.median(seconds) for seconds in zip(*loads, strict=True))
                slowest_s = max(load.content for load in loads)
                print(f"{name:24} {frame_s:5.2f}   {content_s:5.2f} ({slowest_s:5.2f})   {whole_s:5.2f}", flush=True)


def _moments(data: CampusSessions, rounds: int) -> Iterator[datetime]:
    """Moments on the last day, so that there are weeks of data before them."""
    last = data.start + timedelta(days=data.days - 1)
    return (last - timedelta(minutes=minute) for minute in range(rounds))


class PageLoad(NamedTuple):
    """Seconds until a page showed its frame, its content, and everything that loads after it."""

    frame: float
    content: float
    whole: float


def _load(page: Page, address: str, content: str, at: datetime) -> PageLoad:
    began = time.perf_counter()
    page.goto(address.format(at=f"{at:%Y-%m-%dT%H:%MZ}"), wait_until="commit")
    page.locator("h1").first.wait_for()
    frame = time.perf_counter()
    page.locator(content).first.wait_for()
    shown = time.perf_counter()
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=120_000)
    return PageLoad(frame - began, shown - began, time.perf_counter() - began)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dashboard", description="Measure how fast each page of the dashboard loads."
    )
    parser.add_argument("--sessions", type=int, default=1_000_000, help="how many sessions to store")
    parser.add_argument("--rounds", type=int, default=5, help="how often to open each page")
    return parser


if __name__ == "__main__":
    main()
