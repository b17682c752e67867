"""How tests read a page and check that it is readable and accessible."""

from __future__ import annotations

from collections.abc import Mapping

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

# The query of a week for which the log has records.
WEEK = "to=2024-10-08T00:00Z&range=7d"


def number(page: Page, name: str) -> int:
    return int(page.locator(f"#{name}").inner_text().replace(",", ""))


def settle(page: Page) -> None:
    """Waits until the page and all of its parts have loaded."""
    page.wait_for_load_state("domcontentloaded")  # until then there is no part that could be loading
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=20_000)


def readability_problems(page: Page) -> list[str]:
    """Accessibility violations and cut-off content, in both themes, on a desktop and on a phone."""
    page.evaluate(AXE_SCRIPT)
    problems = _violations(page, {"resultTypes": ["violations"]})
    for theme, width in (("dark", 1120), ("dark", 390), ("light", 390)):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 900})
        beyond = page.evaluate("document.documentElement.scrollWidth") - width
        layout = page.evaluate(_CUT_OFF) + [f"{beyond} px of the page"] * (beyond > 0)
        layout += _violations(page, _CONTRAST) if theme == "dark" else []  # in light, a phone has the same colours
        problems += [f"{theme}, {width} px: {problem}" for problem in layout]
    return problems


# The rule that depends on the theme.
_CONTRAST = {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}
_CUT_OFF = """[...document.querySelectorAll("nav a, button")]
    .filter(each => each.scrollWidth > each.clientWidth + 1 || each.getBoundingClientRect().right > innerWidth)
    .map(each => `"${each.textContent}" is cut off`)"""


def _violations(page: Page, options: Mapping[str, object]) -> list[str]:
    violations: list[str] = page.evaluate(_SERIOUS, options)
    return violations


# The rows of a table are alike, so it is enough to check the first ones.
_SERIOUS = """options => axe.run({exclude: [["tbody tr:nth-child(n+9)"]]}, options).then(found => found.violations
    .filter(each => ["serious", "critical"].includes(each.impact))
    .map(each => `${each.id}: ${each.nodes[0].html}`))"""
