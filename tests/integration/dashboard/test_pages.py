"""Every page in a browser: readable in both themes and on a phone, secure, and usable without scripts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.dashboard.conftest import Visit
from tests.integration.dashboard.page_checks import WEEK, number, readability_problems, settle
from tests.services.stack import Stack

PAGES = {
    "login": "/login",
    "now": "/now?at=2024-10-01T05:30Z",
    "now, without people": "/now",
    "occupancy": f"/occupancy?{WEEK}",
    "occupancy, without people": "/occupancy?to=2020-01-01",
    "occupancy, an invalid range": "/occupancy?range=never",
    "dwell": f"/dwell?{WEEK}",
    "presence": "/presence",
    "bikes": "/bikes?contract=besancon",
    "bikes, an unknown contract": "/bikes?contract=nowhere",
    "what the server sees": "/server",
    "system": "/system",
    "an unknown address": "/nowhere",
}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_readable_and_accessible(visit: Visit, name: str) -> None:
    page = visit(PAGES[name], person=None if name == "login" else "operator")
    settle(page)
    assert page.locator("h1").count() == 1
    assert readability_problems(page) == []


def test_the_security_headers_allow_nothing_from_other_hosts(visit: Visit, address: str) -> None:
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


def test_the_place_field_suggests_places_and_floors(visit: Visit, running: Stack) -> None:
    end = datetime(2024, 10, 8, tzinfo=UTC)
    page = visit(f"/dwell?{WEEK}")
    page.focus("[name=place]")
    expect(page.locator("#places option").first).to_be_attached()
    suggested = page.locator("#places option").evaluate_all("options => options.map(option => option.value)")
    places = running.client.list_places(end - timedelta(days=7), end)
    assert {place.place for place in places} | {place.location for place in places if place.location} <= set(suggested)


def test_the_system_page_shows_the_newest_record_and_verifies_the_store(visit: Visit, running: Stack) -> None:
    page = visit("/system")
    assert number(page, "ingested") == running.client.status().activity.ingestion.accepted
    newest = running.client.status().activity.ingestion.newest_record["wifi"]
    assert f"{newest:%b %Y, %H:%M}" in page.locator("div:has(> #newest-wifi)").inner_text()
    page.fill("#verification [name=from]", "2024-10-01T05:00")
    page.fill("#verification [name=to]", "2024-10-01T06:00")
    page.click("text=Verify")
    expect(page.locator("#verified")).to_contain_text("all are present")
    settle(page)
    assert readability_problems(page) == []
    expect(page.locator("#audit tbody tr", has_text="VerificationService").first).to_contain_text(
        "operator via dashboard"
    )
    cells = int(page.locator("#verified b").inner_text().replace(",", ""))
    assert 0 < cells < running.client.verify().cells  # the exact number depends on what has been compacted
    page.fill("#verification [name=to]", "2024-09-01T06:00")
    page.click("text=Verify")
    expect(page.locator(".state.refused")).to_contain_text("This question is not valid")


def test_a_time_out_of_range_is_refused_with_a_message(visit: Visit, address: str) -> None:
    page = visit("/login")
    for path in ("/now?at=0001-01-01", "/occupancy?to=9999-12-31T23:59:59Z", "/dwell/lengths?to=0001-01-01T00:00Z"):
        response = page.request.get(f"{address}{path}")
        assert response.status == 400
        assert "expected a time from 1971 to 9998." in response.text()
    longest = page.request.get(f"{address}/occupancy?from=1971-01-01&to=9998-12-31")
    assert longest.status == 200


def test_a_refused_range_stays_in_the_form_until_a_preset_is_chosen(visit: Visit) -> None:
    page = visit("/occupancy?from=2024-10-08T00:00&to=2024-10-07T00:00")
    expect(page.locator("[role=alert]")).to_contain_text("Until: expected a time after From")
    assert [page.input_value(f"[name={end}]") for end in ("from", "to")] == ["2024-10-08T00:00", "2024-10-07T00:00"]
    page.locator(".choices label", has_text="24 hours").click()
    page.click("main button.primary")
    expect(page.locator(".choices :checked + span")).to_have_text("24 hours")


def test_now_refreshes_and_keeps_the_focus(visit: Visit, address: str) -> None:
    page = visit("/login")
    page.clock.install()
    page.route("**/now/places*", lambda route: route.fulfill(body='<div tabindex="0" id="read">Library</div>'))
    page.goto(f"{address}/now")
    settle(page)
    page.focus("#read")
    expect(page.locator(".hero")).to_contain_text("refreshed every 30 s")
    with page.expect_response("**/now/people"), page.expect_response("**/now/places*"):
        page.clock.fast_forward(30_000)
    expect(page.locator("#read")).to_be_focused()


def test_the_server_page_shows_the_tags_and_cells_that_the_sdk_explains(
    visit: Visit, running: Stack, address: str
) -> None:
    page = visit("/server")
    page.fill("[name=place]", "ap-29")
    page.fill("[name=from]", "2024-10-01T05:00:00")
    page.fill("[name=to]", "2024-10-01T06:00:00")
    page.click("main button.primary")
    hour = datetime(2024, 10, 1, 5, tzinfo=UTC), datetime(2024, 10, 1, 6, tzinfo=UTC)
    assert number(page, "answer") == running.client.count(*hour, place="ap-29")
    assert number(page, "opened") > number(page, "kept") > 0
    explanation = running.client.explain(*hour, place="ap-29")
    assert (number(page, "tags"), number(page, "cells")) == (explanation.tags, explanation.cells)
    assert running.client.explain(*hour).first_tags == explanation.first_tags
    heads = [cell.head.hex() for cell in explanation.first_cells]
    assert [text.rstrip("…") for text in page.locator(".cell .hex").all_inner_texts()] == heads[:8]
    assert readability_problems(page) == []
    # The page without a question shows no tags or cells of an earlier one.
    page.goto(f"{address}/server")
    assert page.locator(".hex").count() == 0


def test_a_panel_shows_that_it_is_loading_and_that_loading_failed(visit: Visit, address: str) -> None:
    page = visit("/now")
    page.route("**/occupancy/weeks*", lambda route: None)  # never answered
    page.route("**/occupancy/places*", lambda route: route.abort())
    page.goto(f"{address}/occupancy?{WEEK}")
    expect(page.locator("[aria-busy] .skeleton").first).to_be_visible()
    expect(page.locator(".state.unavailable")).to_have_text("The dashboard does not respond")


def test_a_panel_with_an_invalid_range_is_refused_with_a_message(visit: Visit, address: str) -> None:
    page = visit("/now")
    for path in ("/now/people?at=x", "/occupancy/weeks?range=x", "/dwell/devices?to=x", "/bikes/availability?to=x"):
        response = page.request.get(f"{address}{path}", headers={"X-Fragment": "1"})
        assert response.status == 400
        assert "This question is not valid" in response.text()


def test_the_chosen_theme_is_remembered(visit: Visit) -> None:
    page = visit("/now", theme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    expect(page.locator("#theme")).to_have_text("Light")


def test_pages_work_without_scripts_and_by_keyboard(visit: Visit, browser: Browser, address: str) -> None:
    page = visit("/now")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    without = browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    plain = without.new_page()
    plain.goto(f"{address}/occupancy?{WEEK}")
    assert plain.locator(".chart svg.wide path.line").count() == 1
    for link, selector in (("Count the whole", "#people"), ("Compare with", ".line.before"), ("Load", "#heat")):
        plain.goto(f"{address}/occupancy?{WEEK}")
        plain.click(f"a:has-text('{link}')")
        assert plain.locator(selector).count() >= 1
    for span, link, name in (("7d", "Load", "new"), ("28d", "Load the whole", "sessions")):
        plain.goto(f"{address}/dwell?to=2024-10-08T00:00Z&range={span}")
        plain.click(f"a:has-text('{link}')")
        assert number(plain, name) > 0
    without.close()
