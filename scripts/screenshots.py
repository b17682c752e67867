"""Pictures of every page of the dashboard, in both themes, into docs/images.

    python scripts/screenshots.py

Needs chromium, and the real data beside the project (`../shared/data`, or `$PRIVACYPLEASE_DATA`).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, expect  # noqa: E402

from tests.integration.dashboard.conftest import ingest_bikes, log_in  # noqa: E402
from tests.integration.known_answers import LARGE  # noqa: E402
from tests.services.dashboard import browsing, dashboard  # noqa: E402
from tests.services.stack import stack  # noqa: E402

IMAGES = ROOT / "docs" / "images"
PASSWORD = "for pictures alone"  # noqa: S105
WIDTH, HEIGHT = 1120, 900
END = "2024-10-11T15:00Z"  # of the log
WEEK = "to=2024-10-08T00:00&range=7d"
HOUR = {"[name=from]": "2024-10-01T05:00:00", "[name=to]": "2024-10-01T06:00:00"}
DAY = {"[name=from]": "2024-09-28T00:00:00", "[name=to]": "2024-09-28T12:00:00"}

# A page, and what is entered there.
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "now": ("/now?at=2024-10-08T05:30", {}),
    "occupancy": (f"/occupancy?{WEEK}", {}),
    "dwell": (f"/dwell?{WEEK}", {}),
    "presence": ("/presence", {"[name=device]": "9a:10:de:94:5a:54", "[name=purpose]": "lost property", **DAY}),
    "bikes": ("/bikes?contract=besancon&from=2024-10-01T08:00&to=2024-10-01T08:10", {}),
    "server": ("/server", {"[name=place]": "ap-29", **HOUR}),
    "system": ("/system", {}),
}


def main() -> None:
    """Takes them all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, stack(f"sqlite:///{folder}/cells.db") as running:
        running.command("ingest", "wifi", str(LARGE))
        ingest_bikes(running.client)
        with dashboard(running.home, "--as-of", END, operator=PASSWORD) as address, browsing() as browser:
            for theme in ("light", "dark"):
                _take(browser, address, theme)


def _take(browser: Browser, address: str, theme: str) -> None:
    dark = theme == "dark"
    context = browser.new_context(color_scheme="dark" if dark else "light", viewport={"width": WIDTH, "height": HEIGHT})
    page = context.new_page()
    page.goto(f"{address}/login")
    _save(page, f"login-{theme}")
    log_in(page, address, "operator", PASSWORD)
    for name, (path, entered) in PAGES.items():
        page.goto(f"{address}{path}")
        for field, value in entered.items():
            page.fill(field, value)
        if entered:
            page.click("main button.primary")
        expect(page.locator("[aria-busy]")).to_have_count(0, timeout=20_000)
        _save(page, f"{name}-{theme}")
    context.close()


def _save(page: Page, name: str) -> None:
    """The upper part of the page: pictures in a text should not be scrolled through."""
    page.screenshot(path=IMAGES / f"{name}.png")
    print(IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
