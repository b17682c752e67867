"""How tests read a page, and what would keep people from reading it."""

from __future__ import annotations

from collections.abc import Mapping

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect


def number(page: Page, name: str) -> int:
    return int(page.locator(f"#{name}").inner_text().replace(",", ""))


def settle(page: Page) -> None:
    """Waits until the page is there and no part of it is still loading."""
    page.wait_for_load_state("domcontentloaded")  # a page of which nothing came yet has no part that loads
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=20_000)


def hard_to_read(page: Page) -> list[str]:
    """What is wrong with the page, in both themes, on a desk and on a phone."""
    page.evaluate(AXE_SCRIPT)
    found = _serious(page, {"resultTypes": ["violations"]})
    for theme, width in (("dark", 1120), ("dark", 390), ("light", 390)):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 900})
        beyond = page.evaluate("document.documentElement.scrollWidth") - width
        wrong = page.evaluate(_CUT_OFF) + [f"{beyond} px of the page"] * (beyond > 0)
        wrong += _serious(page, _CONTRAST) if theme == "dark" else []  # in light, a phone shows no other colours
        found += [f"{theme}, {width} px: {each}" for each in wrong]
    return found


# What depends on the theme.
_CONTRAST = {"resultTypes": ["violations"], "runOnly": ["color-contrast"]}
_CUT_OFF = """[...document.querySelectorAll("nav a, button")]
    .filter(each => each.scrollWidth > each.clientWidth + 1 || each.getBoundingClientRect().right > innerWidth)
    .map(each => `"${each.textContent}" is cut off`)"""


def _serious(page: Page, options: Mapping[str, object]) -> list[str]:
    found: list[str] = page.evaluate(_SERIOUS, options)
    return found


# Rows of a table are alike: the first ones will do.
_SERIOUS = """options => axe.run({exclude: [["tbody tr:nth-child(n+9)"]]}, options).then(found => found.violations
    .filter(each => ["serious", "critical"].includes(each.impact))
    .map(each => `${each.id}: ${each.nodes[0].html}`))"""
