"""Every page in a browser: its numbers are those of the known answers, in both themes and on a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from privacyplease.dashboard.pages.presence import MOST_SESSIONS_SHOWN
from tests.integration.dashboard.conftest import Visit
from tests.integration.known_answers import questions
from tests.services.stack import Stack

WEEK = "to=2024-10-08T00:00Z&range=7d"
PAGES = {
    "login": "/login",
    "now": "/now?at=2024-10-01T05:30Z",
    "now, nobody there": "/now",
    "occupancy": f"/occupancy?{WEEK}",
    "occupancy, nobody there": "/occupancy?to=2020-01-01",
    "occupancy, a wrong range": "/occupancy?range=never",
    "dwell": f"/dwell?{WEEK}",
    "presence": "/presence",
    "bikes": "/bikes?contract=besancon",
    "bikes, an unknown contract": "/bikes?contract=nowhere",
    "what the server sees": "/server",
    "system": "/system",
    "an address that leads nowhere": "/nowhere",
}


def number(page: Page, name: str) -> int:
    return int(page.locator(f"#{name}").inner_text().replace(",", ""))


def settle(page: Page) -> None:
    """Waits until no part of the page is still loading."""
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=20_000)


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_every_page_is_readable_by_everybody(visit: Visit, address: str, theme: str, width: int) -> None:
    page = visit("/now", theme=theme, width=width)
    for name, path in PAGES.items():
        if name == "login":
            continue
        page.goto(f"{address}{path}")
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert _serious(page) == [], name
        assert page.locator("h1").count() == 1, name
    page.click("text=Log out")
    assert page.url == f"{address}/login"
    assert _serious(page) == []


def _serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in ("serious", "critical")]


def test_a_script_could_not_come_from_elsewhere(visit: Visit, address: str) -> None:
    page = visit("/now")
    for path in ("/login", "/now", "/system", "/static/panels.js", "/nowhere"):
        headers = page.request.get(f"{address}{path}").headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")


def test_people_in_a_range_are_those_of_the_known_answers(visit: Visit, address: str) -> None:
    page = visit("/now")
    counted = [question for question in questions() if question["query"] == "count"][:12]
    for question in counted:
        query = {"from": question["start"], "to": question["end"], "place": question["access_point"] or ""}
        page.goto(f"{address}/occupancy?{urlencode(query)}")
        assert number(page, "people") == question["distinct_devices"], question


def test_sessions_of_a_device_are_those_of_the_known_answers(visit: Visit) -> None:
    page = visit("/presence", "warden")
    # So many sessions are listed on the page.
    asked = [each for each in questions() if each["query"] == "presence" and each["sessions"] <= MOST_SESSIONS_SHOWN]
    seen, unseen = ([each for each in asked if each["present"] is wanted][:4] for wanted in (True, False))
    for question in seen + unseen:
        page.fill("[name=device]", question["device"])
        page.fill("[name=from]", question["start"].removesuffix("Z"))
        page.fill("[name=to]", question["end"].removesuffix("Z"))
        page.select_option("[name=purpose]", "lost property")
        page.click("main button.primary")
        expect(page.locator("#verdict")).to_have_text("Seen" if question["present"] else "Not seen")
        if question["present"]:
            assert number(page, "sessions") == question["sessions"]
            rows = page.locator("#session-list tbody th").all_inner_texts()
            assert sorted(set(rows)) == question["access_points"]


def test_occupancy_is_that_of_the_sdk(visit: Visit, running: Stack) -> None:
    start, end = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 8, tzinfo=UTC)
    page = visit(f"/occupancy?{WEEK}")
    settle(page)
    found = running.client.occupancy(start, end, timedelta(hours=1))
    assert number(page, "people") == running.client.count(start, end)
    assert number(page, "peak") == found.peak.distinct_devices
    before = running.client.count(start - timedelta(weeks=1), end - timedelta(weeks=1))
    assert f"The week before: {before:,} distinct devices" in page.locator("#before").inner_text()
    assert page.locator(".chart svg.wide path.line").count() == 3
    page.click("summary")
    shown = page.locator(".chart tbody tr td:nth-child(2)").all_inner_texts()
    assert [int(text.replace(",", "")) for text in shown] == list(found.series.distinct_devices)
    ranking = page.locator("#ranking-places tbody tr").first.inner_text().split()
    busiest = next(iter(running.client.count_by_place(start, end)))
    assert ranking == [busiest.place, f"{busiest.distinct_devices:,}"]
    assert page.locator("#heat td[class]").count() == 7 * 24


def test_a_floor_counts_each_device_once(visit: Visit, running: Stack) -> None:
    end = datetime(2024, 10, 8, tzinfo=UTC)
    places = running.client.list_places(end - timedelta(days=7), end)
    floor = next(place.location for place in places)
    inside = [place.place for place in places if place.location == floor]
    page = visit(f"/occupancy?{WEEK}&{urlencode({'place': floor})}")
    assert number(page, "people") == running.client.count(end - timedelta(days=7), end, place=inside)
    campus = floor.split(" > ")[0]
    everybody = visit(f"/occupancy?{WEEK}&{urlencode({'place': campus + ' > '})}")
    assert number(everybody, "people") == 0  # a name that is no location is a place that nobody was at


def test_now_is_compared_with_the_weeks_before(visit: Visit, running: Stack) -> None:
    at = datetime(2024, 10, 8, 5, 30, tzinfo=UTC)
    page = visit("/now?at=2024-10-08T05:30Z")
    settle(page)
    window = at - timedelta(minutes=15), at
    assert number(page, "people") == running.client.count(*window)
    before = running.client.count(*(end - timedelta(weeks=1) for end in window))
    assert f"In the weeks before: {before}, " in page.locator(".hero").inner_text()
    busiest = next(iter(running.client.count_by_place(*window)))
    row = page.locator("#now-places tbody tr").first.inner_text().split()
    assert row[:2] == [busiest.place, str(busiest.distinct_devices)]


def test_dwell_is_that_of_the_sdk(visit: Visit, running: Stack) -> None:
    start, end = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 8, tzinfo=UTC)
    found = running.client.dwell(start, end, look_back=timedelta(days=28))
    page = visit(f"/dwell?{WEEK}")
    settle(page)
    assert number(page, "sessions") == sum(found.sessions)
    assert (number(page, "new"), number(page, "returning")) == (found.new_devices, found.returning_devices)
    assert found.new_devices + found.returning_devices == running.client.count(start, end)


def test_bikes_are_those_of_the_last_poll(visit: Visit, running: Stack) -> None:
    stations = list(running.client.stations_now("besancon"))
    page = visit("/bikes?contract=besancon")
    assert number(page, "stations") == len(stations) == 30
    assert number(page, "bikes") == sum(station.available_bikes or 0 for station in stations)
    assert number(page, "empty") == sum(station.available_bikes == 0 for station in stations)
    assert page.locator(".map svg.wide circle").count() == 30
    assert page.locator("#station-list tbody tr").count() == 30


def test_what_the_server_sees_is_in_its_store(visit: Visit, running: Stack, address: str) -> None:
    page = visit("/server")
    page.fill("[name=place]", "ap-29")
    page.fill("[name=from]", "2024-10-01T05:00:00")
    page.fill("[name=to]", "2024-10-01T06:00:00")
    page.click("main button.primary")
    hour = datetime(2024, 10, 1, 5, tzinfo=UTC), datetime(2024, 10, 1, 6, tzinfo=UTC)
    assert number(page, "answer") == running.client.count(*hour, place="ap-29")
    assert number(page, "opened") > number(page, "kept") > 0
    seen = running.client.explain(*hour, place="ap-29")
    assert (number(page, "tags"), number(page, "cells")) == (seen.tags, seen.cells)
    heads = [cell.head.hex() for cell in seen.first_cells]
    assert [text.rstrip("…") for text in page.locator(".cell .hex").all_inner_texts()] == heads[:8]
    assert _serious(page) == []
    # Those of another question are shown to nobody: the page without a question shows none.
    page.goto(f"{address}/server")
    assert page.locator(".hex").count() == 0


def test_a_part_that_loads_shows_that_it_does_and_says_so_if_it_fails(visit: Visit, address: str) -> None:
    page = visit("/now")
    page.route("**/occupancy/weeks*", lambda route: None)  # never answered
    page.route("**/occupancy/places*", lambda route: route.abort())
    page.goto(f"{address}/occupancy?{WEEK}")
    expect(page.locator("[aria-busy] .skeleton")).to_be_visible()
    expect(page.locator(".state.away")).to_have_text("The dashboard does not answer")


def test_a_part_of_a_page_about_no_range_is_refused_in_words(visit: Visit, address: str) -> None:
    page = visit("/now")
    for path in ("/now/people?at=x", "/occupancy/weeks?range=x", "/dwell/devices?to=x", "/bikes/availability?to=x"):
        response = page.request.get(f"{address}{path}", headers={"X-Fragment": "1"})
        assert response.status == 400
        assert "This cannot be asked" in response.text()


def test_the_theme_can_be_chosen_and_stays(visit: Visit) -> None:
    page = visit("/now", theme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    expect(page.locator("#theme")).to_have_text("Light")


def test_pages_work_without_a_script_and_with_the_keyboard_alone(visit: Visit, address: str) -> None:
    page = visit("/now")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    without = page.context.browser.new_context(java_script_enabled=False)
    without.add_cookies(page.context.cookies())
    plain = without.new_page()
    plain.goto(f"{address}/occupancy?{WEEK}")
    assert plain.locator(".chart svg.wide path.line").count() == 1
    plain.click("section:has-text('Hours of the week') >> text=Load")
    assert plain.locator("#heat").count() == 1
    without.close()
