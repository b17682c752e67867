"""Ranges of time: what an address names, and the steps that fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from privacyplease.dashboard.ranges import MOST_STEPS, Range, RangeError, read_moment, read_range, whole_quarter

NOW = datetime(2024, 10, 1, 12, 0, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def test_a_range_ends_now_where_nothing_is_said() -> None:
    found = read_range({}, UTC, NOW)
    assert (found.start, found.end) == (datetime(2024, 9, 30, 12, tzinfo=UTC), datetime(2024, 10, 1, 12, tzinfo=UTC))


def test_what_is_entered_is_local_time_unless_it_has_a_zone() -> None:
    assert read_moment("2024-10-01T08:00", BERLIN, "From") == datetime(2024, 10, 1, 6, tzinfo=UTC)
    assert read_moment("2024-10-01T08:00:05Z", BERLIN, "From") == datetime(2024, 10, 1, 8, 0, 5, tzinfo=UTC)
    assert read_moment("2024-10-01T08:00 09:00", BERLIN, "From") == datetime(2024, 9, 30, 23, tzinfo=UTC)
    assert read_moment("", BERLIN, "From") is None


def test_a_beginning_counts_more_than_a_preset() -> None:
    found = read_range({"from": "2024-09-01T00:00", "to": "2024-09-02T00:00", "range": "7d"}, UTC, NOW)
    assert (found.width, found.preset) == (timedelta(days=1), "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"range": "never"}, "Expected a range of 24h, 7d, 28d"),
        ({"to": "yesterday"}, "Until: expected a time as"),
        ({"from": "2024-10-02"}, "Until: expected a time after From"),
        ({"to": "9999-99-99"}, "Until: expected a time as"),
        ({"to": "0001-01-01"}, "Until: expected a time from 1971"),
        ({"to": "9999-12-31T23:59"}, "Until: expected a time from 1971"),
        ({"from": "1970-12-31T23:59"}, "From: expected a time from 1971"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_name_of_its_field(given: dict[str, str], words: str) -> None:
    with pytest.raises(RangeError, match=words):
        read_range(given, UTC, NOW)


@pytest.mark.parametrize("days", [0.01, 1, 7, 28, 365, 3_650, 40_000])
def test_steps_are_few_and_as_narrow_as_they_may_be(days: float) -> None:
    span = Range(NOW, NOW + timedelta(days=days))
    assert span.width <= span.step * MOST_STEPS


def test_a_day_has_steps_of_a_quarter_of_an_hour_and_a_week_of_an_hour() -> None:
    assert read_range({}, UTC, NOW).step == timedelta(minutes=15)
    assert read_range({"range": "7d"}, UTC, NOW).step == timedelta(hours=1)


def test_of_a_long_range_the_last_week_is_shown_first_in_the_same_steps() -> None:
    span = Range(NOW, NOW + timedelta(days=28, minutes=1))
    newest = span.newest
    assert (newest.end, newest.width) == (span.end, timedelta(days=6, hours=18, minutes=1))
    assert (newest.start - span.start) % span.step == timedelta(0)
    week = Range(NOW, NOW + timedelta(days=7))
    assert week.newest == week
    assert Range(NOW, NOW + timedelta(days=40_000)).newest.width <= timedelta(days=40_000) / MOST_STEPS


def test_a_live_range_ends_with_the_quarter_of_an_hour() -> None:
    assert whole_quarter(NOW) == datetime(2024, 10, 1, 12, 15, tzinfo=UTC)
    assert whole_quarter(datetime(2024, 10, 1, 12, 45, tzinfo=UTC)) == datetime(2024, 10, 1, 12, 45, tzinfo=UTC)
