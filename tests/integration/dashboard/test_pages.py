"""Every page in a browser: its numbers are those of the known answers, in both themes and on a phone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect

from privacyplease.dashboard import formats
from privacyplease.dashboard.pages.dwell import LABELS
from privacyplease.ingest import wifi
from tests.integration.dashboard.conftest import Visit
from tests.integration.dashboard.reading import hard_to_read, number, settle
from tests.integration.known_answers import DATA, LARGE, questions
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


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_readable_by_everybody(visit: Visit, name: str) -> None:
    page = visit(PAGES[name], person=None if name == "login" else "operator")
    settle(page)
    assert page.locator("h1").count() == 1
    assert hard_to_read(page) == []


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
    page = visit("/login")
    for part in ("chart", "weeks", "places"):
        page.route(f"**/occupancy/{part}*", lambda route: route.abort())
    counted = [question for question in questions() if question["query"] == "count"][:12]
    for question in counted:
        query = {"from": question["start"], "to": question["end"], "place": question["access_point"] or ""}
        page.goto(f"{address}/occupancy?{urlencode(query)}")
        settle(page)
        assert number(page, "people") == question["distinct_devices"], question


def test_sessions_of_a_device_are_those_of_the_known_answers(visit: Visit) -> None:
    page = visit("/presence", "warden")
    # Few enough that all are listed on the page, and quickly read.
    asked = [each for each in questions() if each["query"] == "presence" and each["sessions"] <= 60]
    seen, unseen = ([each for each in asked if each["present"] is wanted][:4] for wanted in (True, False))
    for question in unseen + seen:
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
    assert hard_to_read(page) == []


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
    assert _shown(page) == [f"{count:,}" for count in found.series.distinct_devices]
    ranking = [row.split() for row in page.locator("#ranking-places tbody tr").all_inner_texts()]
    busiest = list(running.client.count_by_place(start, end))
    assert ranking == [[each.place, f"{each.distinct_devices:,}"] for each in busiest]
    assert page.locator("#heat td[class]").count() == 7 * 24
    page.click(f"#ranking-places >> text={busiest[0].place}")
    settle(page)
    assert number(page, "people") == busiest[0].distinct_devices
    assert page.locator("[name=place]").input_value() == busiest[0].place


def test_places_and_floors_are_suggested_to_whoever_enters_one(visit: Visit, running: Stack) -> None:
    end = datetime(2024, 10, 8, tzinfo=UTC)
    page = visit(f"/dwell?{WEEK}")
    page.focus("[name=place]")
    expect(page.locator("#places option").first).to_be_attached()
    offered = page.locator("#places option").evaluate_all("all => all.map(each => each.value)")
    places = running.client.list_places(end - timedelta(days=7), end)
    assert {place.place for place in places} | {place.location for place in places if place.location} <= set(offered)


def test_the_system_tells_how_fresh_it_is_and_verifies_its_store(visit: Visit, running: Stack) -> None:
    page = visit("/system")
    assert number(page, "ingested") == running.client.status().activity.ingestion.accepted
    newest = running.client.status().activity.ingestion.newest_record["wifi"]
    assert f"{newest:%b %Y, %H:%M}" in page.locator("div:has(> #newest-wifi)").inner_text()
    page.fill("#verification [name=from]", "2024-10-01T05:00")
    page.fill("#verification [name=to]", "2024-10-01T06:00")
    page.click("text=Verify")
    expect(page.locator("#verified")).to_contain_text("all are there")
    settle(page)
    assert hard_to_read(page) == []
    expect(page.locator("#audit tbody tr", has_text="VerificationService").first).to_contain_text(
        "operator by dashboard"
    )
    cells = int(page.locator("#verified b").inner_text().replace(",", ""))
    assert 0 < cells < running.client.verify().cells  # how many it is depends on what was compacted meanwhile
    page.fill("#verification [name=to]", "2024-09-01T06:00")
    page.click("text=Verify")
    expect(page.locator(".state.refused")).to_contain_text("This cannot be asked")


def test_a_time_that_nobody_can_ask_about_is_refused_in_words(visit: Visit, address: str) -> None:
    page = visit("/login")
    for path in ("/now?at=0001-01-01", "/occupancy?to=9999-12-31T23:59:59Z", "/dwell/lengths?to=0001-01-01T00:00Z"):
        response = page.request.get(f"{address}{path}")
        assert response.status == 400
        assert "expected a time from 1971 to 9998." in response.text()
    longest = page.request.get(f"{address}/occupancy?from=1971-01-01&to=9998-12-31")
    assert longest.status == 200


def test_what_was_entered_stays_when_it_is_refused_and_goes_when_a_preset_is_chosen(visit: Visit) -> None:
    page = visit("/occupancy?from=2024-10-08T00:00&to=2024-10-07T00:00")
    expect(page.locator("[role=alert]")).to_contain_text("Until: expected a time after From")
    assert [page.input_value(f"[name={end}]") for end in ("from", "to")] == ["2024-10-08T00:00", "2024-10-07T00:00"]
    page.locator(".choices label", has_text="24 hours").click()
    page.click("main button.primary")
    expect(page.locator(".choices :checked + span")).to_have_text("24 hours")


def test_of_a_long_range_the_last_week_is_there_before_the_whole(visit: Visit, running: Stack, address: str) -> None:
    start, end = datetime(2024, 9, 10, tzinfo=UTC), datetime(2024, 10, 8, tzinfo=UTC)
    page = visit("/login", person="operator")
    page.route("**/occupancy/chart*", lambda route: None)  # never answered
    page.route("**/occupancy/figures*", lambda route: route.abort())
    page.goto(f"{address}/occupancy?to=2024-10-08T00:00Z&range=28d")
    found = running.client.occupancy(start, end, timedelta(hours=6)).series.distinct_devices
    assert _shown(page) == ["unknown"] * 84 + [f"{count:,}" for count in found[84:]]
    expect(page.locator("#people")).to_have_text("?")
    expect(page.locator(".state.away")).to_have_text("The dashboard does not answer")
    page.unroute_all()
    page.reload()
    settle(page)
    assert _shown(page) == [f"{count:,}" for count in found]
    assert number(page, "people") == running.client.count(start, end)
    assert number(page, "peak") == max(found)


def _shown(page: Page) -> list[str]:
    """What the table of the chart says of the range."""
    return page.locator(".chart tbody tr td:nth-child(2)").all_text_contents()


def test_a_floor_counts_each_device_once(visit: Visit, running: Stack) -> None:
    end = datetime(2024, 10, 8, tzinfo=UTC)
    places = running.client.list_places(end - timedelta(days=7), end)
    floor = next(place.location for place in places)
    inside = [place.place for place in places if place.location == floor]
    page = visit(f"/occupancy?{WEEK}&{urlencode({'place': floor})}")
    settle(page)
    assert number(page, "people") == running.client.count(end - timedelta(days=7), end, place=inside)
    campus = floor.split(" > ")[0]
    everybody = visit(f"/occupancy?{WEEK}&{urlencode({'place': campus + ' > '})}")
    assert number(everybody, "people") == 0  # a name that is no location is a place that nobody was at


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """The plaintext of what is stored, with the end of each session."""
    sessions = pa.concat_tables([block.table for block in wifi.read(LARGE)]).to_pandas()
    return sessions.assign(end=sessions.association_time + sessions.session_duration)


def during(log: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    return log[(log.association_time <= end) & (log.end >= start)]


def test_now_is_that_of_the_plaintext_and_compared_with_the_weeks_before(visit: Visit, log: pd.DataFrame) -> None:
    at = datetime(2024, 10, 8, 5, 30, tzinfo=UTC)
    page = visit("/now?at=2024-10-08T05:30Z")
    settle(page)
    window = at - timedelta(minutes=15), at
    present, *before = (during(log, *(end - timedelta(weeks=week) for end in window)) for week in range(7))
    assert number(page, "people") == present.client_mac.nunique()
    days = ("1 Oct", "24 Sep", "17 Sep", "10 Sep", "3 Sep", "27 Aug")
    counts = {day: sessions.client_mac.nunique() for day, sessions in zip(days, before, strict=True)}
    silent = ("17 Sep", "3 Sep")  # days of which the log says nothing
    shown = [row.split("\n") for row in page.locator("#before div").all_inner_texts()]
    assert shown == [[day, "no records" if day in silent else f"{count}"] for day, count in counts.items()]
    usual = median(count for day, count in counts.items() if day not in silent)
    assert page.locator("#usual").inner_text() == formats.number(round(usual))
    rows = [row.split()[:2] for row in page.locator("#now-places tbody tr").all_inner_texts()]
    by_place = present.groupby("ap_name").client_mac.nunique()
    assert {place: int(people) for place, people in rows if people != "0"} == by_place.to_dict()


def test_dwell_is_that_of_the_plaintext(visit: Visit, log: pd.DataFrame) -> None:
    start, end = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 8, tzinfo=UTC)
    page = visit(f"/dwell?{WEEK}")
    settle(page)
    sessions = during(log, start, end)
    assert number(page, "sessions") == len(sessions)
    middle = sessions.session_duration.sort_values().iloc[(len(sessions) - 1) // 2]
    assert page.locator("#median").inner_text() == formats.humanised(middle.to_pytimedelta())
    for size, labels in (("wide", LABELS), ("narrow", LABELS[::2])):
        assert page.locator(f".chart svg.{size} text[text-anchor=middle]").all_text_contents() == labels
    zero = page.locator("tr", has_text="0 s").first.locator("td").text_content()
    assert zero == f"{(sessions.session_duration < timedelta(seconds=1)).sum():,}"
    earlier = during(log, start - timedelta(days=28), start)
    known = set(earlier[earlier.end < start].client_mac)
    devices = set(sessions.client_mac)
    assert (number(page, "new"), number(page, "returning")) == (len(devices - known), len(devices & known))


def test_of_a_long_range_the_stays_of_the_last_week_are_there_before_all(
    visit: Visit, running: Stack, address: str
) -> None:
    end = datetime(2024, 10, 8, tzinfo=UTC)
    page, asked = visit("/login"), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/dwell/lengths*", lambda route: None)  # never answered
    page.goto(f"{address}/dwell?to=2024-10-08T00:00Z&range=28d")
    assert number(page, "sessions") == sum(running.client.dwell(end - timedelta(days=7), end).sessions)
    expect(page.locator("[aria-busy]")).to_contain_text("The last week of the range.")
    assert not any("/dwell/devices" in url for url in asked)  # it would only slow down what is asked for
    page.unroute_all()
    page.reload()
    settle(page)
    assert number(page, "sessions") == sum(running.client.dwell(end - timedelta(days=28), end).sessions)
    assert number(page, "new") + number(page, "returning") == running.client.count(end - timedelta(days=28), end)


def test_devices_of_other_pages_are_those_of_the_known_answers(visit: Visit, address: str) -> None:
    week = timedelta(weeks=1)
    for question in _counts_at_places(week)[:2]:
        query = {"from": question["start"], "to": question["end"]}
        page = visit(f"/dwell?{urlencode({**query, 'place': question['access_point']})}")
        settle(page)
        assert number(page, "new") + number(page, "returning") == question["distinct_devices"]
        page.goto(f"{address}/occupancy/places?{urlencode(query)}")
        row = page.locator("#ranking-places tr", has_text=question["access_point"])
        assert row.locator("td").first.inner_text() == f"{question['distinct_devices']:,}"
    page = visit("/server")
    for question in _counts_at_places(timedelta(hours=1))[:2]:
        page.fill("[name=place]", question["access_point"])
        page.fill("[name=from]", question["start"].removesuffix("Z"))
        page.fill("[name=to]", question["end"].removesuffix("Z"))
        page.click("main button.primary")
        assert number(page, "answer") == question["distinct_devices"]


def _counts_at_places(width: timedelta) -> list[dict[str, Any]]:
    """The known answers about places at which there was anybody in a range of this width."""
    asked = [question for question in questions() if question["query"] == "count" and question["access_point"]]
    widths = [datetime.fromisoformat(each["end"]) - datetime.fromisoformat(each["start"]) for each in asked]
    return [each for each, found in zip(asked, widths, strict=True) if found == width and each["distinct_devices"]]


def test_now_is_looked_at_again_and_leaves_the_reader_where_they_were(visit: Visit, address: str) -> None:
    page = visit("/login")
    page.clock.install()
    page.route("**/now/places*", lambda route: route.fulfill(body='<div tabindex="0" id="read">Library</div>'))
    page.goto(f"{address}/now")
    settle(page)
    page.focus("#read")
    expect(page.locator(".hero")).to_contain_text("looked at again every 30 s")
    with page.expect_response("**/now/people"), page.expect_response("**/now/places*"):
        page.clock.fast_forward(30_000)
    expect(page.locator("#read")).to_be_focused()


def test_bikes_are_those_of_the_last_poll(visit: Visit) -> None:
    stations = json.loads((DATA / "bikes" / "besancon_snapshots_v1.ndjson").read_text().splitlines()[-1])
    page = visit("/bikes?contract=besancon")
    assert number(page, "stations") == len(stations) == 30
    assert number(page, "bikes") == sum(station["available_bikes"] for station in stations)
    assert number(page, "stands") == sum(station["available_bike_stands"] for station in stations)
    assert number(page, "empty") == sum(station["available_bikes"] == 0 for station in stations)
    assert number(page, "full") == sum(station["available_bike_stands"] == 0 for station in stations)
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
    assert running.client.explain(*hour).first_tags == seen.first_tags
    heads = [cell.head.hex() for cell in seen.first_cells]
    assert [text.rstrip("…") for text in page.locator(".cell .hex").all_inner_texts()] == heads[:8]
    assert hard_to_read(page) == []
    # Those of another question are shown to nobody: the page without a question shows none.
    page.goto(f"{address}/server")
    assert page.locator(".hex").count() == 0


def test_a_part_that_loads_shows_that_it_does_and_says_so_if_it_fails(visit: Visit, address: str) -> None:
    page = visit("/now")
    page.route("**/occupancy/weeks*", lambda route: None)  # never answered
    page.route("**/occupancy/places*", lambda route: route.abort())
    page.goto(f"{address}/occupancy?{WEEK}")
    expect(page.locator("[aria-busy] .skeleton").first).to_be_visible()
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
    browser, cookies = page.context.browser, list[Any](page.context.cookies())
    assert browser is not None
    without = browser.new_context(java_script_enabled=False)
    without.add_cookies(cookies)
    plain = without.new_page()
    plain.goto(f"{address}/occupancy?{WEEK}")
    assert plain.locator(".chart svg.wide path.line").count() == 1
    for link, found in (("Count those", "#people"), ("Compare with", ".line.before"), ("Load", "#heat")):
        plain.goto(f"{address}/occupancy?{WEEK}")
        plain.click(f"a:has-text('{link}')")
        assert plain.locator(found).count() >= 1
    for span, link, found in (("7d", "Load", "new"), ("28d", "Read all", "sessions")):
        plain.goto(f"{address}/dwell?to=2024-10-08T00:00Z&range={span}")
        plain.click(f"a:has-text('{link}')")
        assert number(plain, found) > 0
    without.close()
