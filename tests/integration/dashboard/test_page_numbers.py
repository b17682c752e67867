"""The numbers on the pages match the known answers, the plaintext log and the SDK."""

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
from tests.integration.dashboard.page_checks import WEEK, number, readability_problems, settle
from tests.integration.known_answers import DATA, LARGE, questions
from tests.services.stack import Stack


def test_the_people_in_a_range_match_the_known_answers(visit: Visit, address: str) -> None:
    page = visit("/login")
    for part in ("chart", "weeks", "places"):
        page.route(f"**/occupancy/{part}*", lambda route: route.abort())
    counted = [question for question in questions() if question["query"] == "count"][:12]
    for question in counted:
        query = {"from": question["start"], "to": question["end"], "place": question["access_point"] or ""}
        page.goto(f"{address}/occupancy?{urlencode(query)}")
        settle(page)
        assert number(page, "people") == question["distinct_devices"], question


def test_the_sessions_of_a_device_match_the_known_answers(visit: Visit) -> None:
    page = visit("/presence", "warden")
    # Few enough sessions that the page lists all of them, quickly.
    short = [question for question in questions() if question["query"] == "presence" and question["sessions"] <= 60]
    seen, unseen = ([question for question in short if question["present"] is present][:4] for present in (True, False))
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
    assert readability_problems(page) == []


def test_the_occupancy_page_shows_the_numbers_of_the_sdk(visit: Visit, running: Stack) -> None:
    start, end = datetime(2024, 10, 1, tzinfo=UTC), datetime(2024, 10, 8, tzinfo=UTC)
    page = visit(f"/occupancy?{WEEK}")
    settle(page)
    occupancy = running.client.occupancy(start, end, timedelta(hours=1))
    assert number(page, "people") == running.client.count(start, end)
    assert number(page, "peak") == occupancy.peak.distinct_devices
    before = running.client.count(start - timedelta(weeks=1), end - timedelta(weeks=1))
    assert f"One week earlier: {before:,} distinct devices" in page.locator("#before").inner_text()
    assert page.locator(".chart svg.wide path.line").count() == 3
    assert _chart_counts(page) == [f"{count:,}" for count in occupancy.series.distinct_devices]
    ranking = [row.split() for row in page.locator("#ranking-places tbody tr").all_inner_texts()]
    busiest = list(running.client.count_by_place(start, end))
    assert ranking == [[count.place, f"{count.distinct_devices:,}"] for count in busiest]
    assert page.locator("#heat td[class]").count() == 7 * 24
    page.click(f"#ranking-places >> text={busiest[0].place}")
    settle(page)
    assert number(page, "people") == busiest[0].distinct_devices
    assert page.locator("[name=place]").input_value() == busiest[0].place


def test_the_last_week_of_a_long_range_is_shown_before_the_rest(visit: Visit, running: Stack, address: str) -> None:
    start, end = datetime(2024, 9, 10, tzinfo=UTC), datetime(2024, 10, 8, tzinfo=UTC)
    page = visit("/login", person="operator")
    page.route("**/occupancy/chart*", lambda route: None)  # never answered
    page.route("**/occupancy/figures*", lambda route: route.abort())
    page.goto(f"{address}/occupancy?to=2024-10-08T00:00Z&range=28d")
    counts = running.client.occupancy(start, end, timedelta(hours=6)).series.distinct_devices
    assert _chart_counts(page) == ["unknown"] * 84 + [f"{count:,}" for count in counts[84:]]
    expect(page.locator("#people")).to_have_text("?")
    expect(page.locator(".state.unavailable")).to_have_text("The dashboard does not respond")
    page.unroute_all()
    page.reload()
    settle(page)
    assert _chart_counts(page) == [f"{count:,}" for count in counts]
    assert number(page, "people") == running.client.count(start, end)
    assert number(page, "peak") == max(counts)


def _chart_counts(page: Page) -> list[str]:
    """The counts of the range in the chart's table of numbers."""
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
    unknown = visit(f"/occupancy?{WEEK}&{urlencode({'place': campus + ' > '})}")
    assert number(unknown, "people") == 0  # a name that is not a location is taken for a place, here without people


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """The plaintext of what is stored, with the end of each session."""
    sessions: pd.DataFrame = pa.concat_tables([block.table for block in wifi.read(LARGE)]).to_pandas()
    return sessions.assign(end=sessions.association_time + sessions.session_duration)


def during(log: pd.DataFrame, start: datetime, end: datetime) -> pd.DataFrame:
    return log[(log.association_time <= end) & (log.end >= start)]


def test_now_matches_the_plaintext_and_is_compared_with_earlier_weeks(visit: Visit, log: pd.DataFrame) -> None:
    at = datetime(2024, 10, 8, 5, 30, tzinfo=UTC)
    page = visit("/now?at=2024-10-08T05:30Z")
    settle(page)
    window = at - timedelta(minutes=15), at
    present, *before = (during(log, *(end - timedelta(weeks=week) for end in window)) for week in range(7))
    assert number(page, "people") == present.client_mac.nunique()
    days = ("1 Oct", "24 Sep", "17 Sep", "10 Sep", "3 Sep", "27 Aug")
    counts = {day: sessions.client_mac.nunique() for day, sessions in zip(days, before, strict=True)}
    silent = ("17 Sep", "3 Sep")  # days without records in the log
    shown = [row.split("\n") for row in page.locator("#before div").all_inner_texts()]
    assert shown == [[day, "no records" if day in silent else f"{count}"] for day, count in counts.items()]
    usual = median(count for day, count in counts.items() if day not in silent)
    assert page.locator("#usual").inner_text() == formats.number(round(usual))
    rows = [row.split()[:2] for row in page.locator("#now-places tbody tr").all_inner_texts()]
    by_place = present.groupby("ap_name").client_mac.nunique()
    assert {place: int(people) for place, people in rows if people != "0"} == by_place.to_dict()


def test_dwell_matches_the_plaintext(visit: Visit, log: pd.DataFrame) -> None:
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


def test_dwell_shows_the_last_week_of_a_long_range_before_the_rest(visit: Visit, running: Stack, address: str) -> None:
    end = datetime(2024, 10, 8, tzinfo=UTC)
    page, requested = visit("/login"), list[str]()
    page.on("request", lambda request: requested.append(request.url))
    page.route("**/dwell/lengths*", lambda route: None)  # never answered
    page.goto(f"{address}/dwell?to=2024-10-08T00:00Z&range=28d")
    assert number(page, "sessions") == sum(running.client.dwell(end - timedelta(days=7), end).sessions)
    expect(page.locator("[aria-busy]")).to_contain_text("The last week of the range.")
    assert not any("/dwell/devices" in url for url in requested)  # it would slow down the lengths
    page.unroute_all()
    page.reload()
    settle(page)
    assert number(page, "sessions") == sum(running.client.dwell(end - timedelta(days=28), end).sessions)
    assert number(page, "new") + number(page, "returning") == running.client.count(end - timedelta(days=28), end)


def test_the_devices_on_other_pages_match_the_known_answers(visit: Visit, address: str) -> None:
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
    """The known answers for places with people, in ranges of this width."""
    counts = [question for question in questions() if question["query"] == "count" and question["access_point"]]
    widths = [
        datetime.fromisoformat(question["end"]) - datetime.fromisoformat(question["start"]) for question in counts
    ]
    return [
        question
        for question, actual in zip(counts, widths, strict=True)
        if actual == width and question["distinct_devices"]
    ]


def test_the_bikes_page_shows_the_last_poll(visit: Visit) -> None:
    stations = json.loads((DATA / "bikes" / "besancon_snapshots_v1.ndjson").read_text().splitlines()[-1])
    page = visit("/bikes?contract=besancon")
    assert number(page, "stations") == len(stations) == 30
    assert number(page, "bikes") == sum(station["available_bikes"] for station in stations)
    assert number(page, "stands") == sum(station["available_bike_stands"] for station in stations)
    assert number(page, "empty") == sum(station["available_bikes"] == 0 for station in stations)
    assert number(page, "full") == sum(station["available_bike_stands"] == 0 for station in stations)
    assert page.locator(".map svg.wide circle").count() == 30
    assert page.locator("#station-list tbody tr").count() == 30
