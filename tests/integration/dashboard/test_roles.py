"""Who sees what: roles from the policy, logins, and every question about a person under the name of whoever asked."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from tests.integration.dashboard.conftest import PASSWORD, Visit, log_in
from tests.services.stack import Stack


@pytest.mark.parametrize(
    ("person", "pages"),
    [
        ("operator", ["Now", "Occupancy", "Dwell", "Presence", "Bikes", "What the server sees", "System"]),
        ("counter", ["Now", "Occupancy", "Dwell"]),
        ("warden", ["Presence"]),
        ("nobody", []),
    ],
)
def test_pages_are_those_of_ones_roles(visit: Visit, person: str, pages: list[str]) -> None:
    page = visit("/now", person)
    assert page.locator("nav a").all_inner_texts() == pages


def test_a_page_of_another_role_cannot_be_reached_by_its_address(visit: Visit, address: str) -> None:
    page = visit("/now", "counter")
    for path in ("/presence", "/bikes", "/server", "/system", "/system/audit", "/bikes/availability?contract=lund"):
        response = page.goto(f"{address}{path}")
        assert response is not None
        assert response.status == 403
        assert "This page is not for you" in page.inner_text("main")
    posted = page.request.post(f"{address}/presence", form={"device": "e6:f1:d2:28:b9:33", "purpose": "curiosity"})
    assert posted.status == 400  # no token; with one, it is refused like the page
    token = page.locator("[name=csrf_token]").first.get_attribute("value")
    for path in ("/presence", "/system"):
        posted = page.request.post(f"{address}{path}", form={"csrf_token": token, "device": "e6:f1:d2:28:b9:33"})
        assert posted.status == 403


def test_every_question_about_a_person_is_recorded_under_the_name_of_whoever_asked(
    visit: Visit, running: Stack
) -> None:
    page = visit("/presence", "warden")
    page.fill("[name=device]", "e6:f1:d2:28:b9:33")
    page.fill("[name=to]", "2024-09-28T02:00:00")
    page.select_option("[name=purpose]", "fire drill")
    page.click("main button.primary")
    expect(page.locator("#verdict")).to_have_text("Seen")
    asked = [
        entry
        for entry in running.client.audit_entries(who="warden", rpc="PresenceService/FindSessions")
        if entry.purpose == "fire drill" and entry.event == "asked"
    ]
    assert [(entry.who, entry.on_behalf_of) for entry in asked] == [("dashboard", "warden")]
    system = visit("/system")
    expect(system.locator("#audit tbody tr", has_text="fire drill").first).to_contain_text("warden by dashboard")


def test_a_question_without_a_purpose_is_refused_and_says_so(visit: Visit) -> None:
    page = visit("/presence", "warden")
    page.fill("[name=device]", "e6:f1:d2:28:b9:33")
    page.click("main button.primary")
    expect(page.locator(".state.refused")).to_contain_text("The policy does not allow this")
    page.fill("[name=device]", "not a device")
    page.select_option("[name=purpose]", "fire drill")
    page.click("main button.primary")
    expect(page.locator(".state.refused")).to_contain_text("This cannot be asked")


def test_whoever_is_not_logged_in_is_asked_to(visit: Visit, address: str) -> None:
    page = visit("/now", person=None)
    for path in ("/now", "/presence", "/system/audit"):
        page.goto(f"{address}{path}")
        assert page.url == f"{address}/login"


def test_a_session_that_was_ended_is_not_taken_again(visit: Visit, address: str) -> None:
    page = visit("/login", person=None)
    log_in(page, address, "nobody")
    cookies = page.context.cookies()
    page.click("text=Log out")
    assert page.url == f"{address}/login"
    page.context.add_cookies(cookies)
    page.goto(f"{address}/now")
    assert page.url == f"{address}/login"


def test_of_many_wrong_passwords_few_are_looked_at_even_if_they_come_at_once(visit: Visit, address: str) -> None:
    page = visit("/login", person=None)
    token = page.locator("[name=csrf_token]").get_attribute("value")
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in page.context.cookies())

    def attempt(password: str) -> int:
        form = urlencode({"csrf_token": token, "name": "mallory", "password": password})
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", form, headers)
        return connection.getresponse().status

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(attempt, ["wrong"] * 12)) == [401] * 5 + [429] * 7
    log_in(page, address, "mallory", PASSWORD)
    expect(page.locator("[role=alert]")).to_contain_text("Too many attempts")
