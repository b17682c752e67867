"""How soon each page of the dashboard shows something: a browser opens it anew, over a store of a million sessions.

    python -m benchmarks.dashboard [--sessions N] [--rounds N]

Both servers and the dashboard run as a user starts them, over SQLite. A frame is there when its heading is, and content
when the chart, the main number, the form or the table is. Every opening asks anew: the moment that the page is about
moves by a minute each time, so that nothing is answered from the dashboard's memory.
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

from benchmarks.sessions import Data
from tests.services.dashboard import browsing, dashboard
from tests.services.stack import stack

PASSWORD = "for benchmarks alone"

# A page, its address at a moment, and what is its first meaningful content.
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
    """Measures and prints medians and the slowest."""
    flags = _parser().parse_args()
    data = Data(flags.sessions)
    with tempfile.TemporaryDirectory() as folder, stack(f"sqlite:///{folder}/cells.db") as running:
        for _ in running.client.ingest("wifi", data.tables()):
            pass
        print(f"{flags.sessions:,} sessions of {data.days} days, {flags.rounds} rounds")
        print("median seconds until there is the frame, the content (slowest), and all of the page:")
        with dashboard(running.home, operator=PASSWORD) as address, browsing() as browser:
            page = browser.new_page()
            page.goto(f"{address}/login")
            page.fill("[name=name]", "operator")
            page.fill("[name=password]", PASSWORD)
            page.click("main button")
            for name, path, content in PAGES:
                opened = [_open(page, address + path, content, at) for at in _moments(data, flags.rounds)]
                frame, there, whole = (statistics.median(took) for took in zip(*opened, strict=True))
                slowest = max(opening.content for opening in opened)
                print(f"{name:24} {frame:5.2f}   {there:5.2f} ({slowest:5.2f})   {whole:5.2f}", flush=True)


def _moments(data: Data, rounds: int) -> Iterator[datetime]:
    """In the last days, so that weeks lie before them."""
    last = data.start + timedelta(days=data.days - 1)
    return (last - timedelta(minutes=minute) for minute in range(rounds))


class Opening(NamedTuple):
    """Seconds until a page showed its frame, its content, and all that loads after it."""

    frame: float
    content: float
    whole: float


def _open(page: Page, address: str, content: str, at: datetime) -> Opening:
    began = time.perf_counter()
    page.goto(address.format(at=f"{at:%Y-%m-%dT%H:%MZ}"), wait_until="commit")
    page.locator("h1").first.wait_for()
    frame = time.perf_counter()
    page.locator(content).first.wait_for()
    there = time.perf_counter()
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=120_000)
    return Opening(frame - began, there - began, time.perf_counter() - began)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How soon each page of the dashboard shows something.")
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    return parser


if __name__ == "__main__":
    main()
