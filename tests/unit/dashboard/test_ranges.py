"""Time ranges: how they are read from an address, and their steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from privacyplease.dashboard.ranges import MOST_STEPS, ChosenRange, RangeError, read_moment, read_range, whole_quarter

NOW = datetime(2024, 10, 1, 12, 0, 30, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def test_the_default_range_is_the_24_hours_until_now() -> None:
    span = read_range({}, UTC, NOW)
    assert (span.start, span.end) == (datetime(2024, 9, 30, 12, tzinfo=UTC), datetime(2024, 10, 1, 12, tzinfo=UTC))


def test_a_moment_is_in_local_time_unless_it_has_a_zone() -> None:
    assert read_moment("2024-10-01T08:00", BERLIN, "From") == datetime(2024, 10, 1, 6, tzinfo=UTC)
    assert read_moment("2024-10-01T08:00:05Z", BERLIN, "From") == datetime(2024, 10, 1, 8, 0, 5, tzinfo=UTC)
    assert read_moment("2024-10-01T08:00 09:00", BERLIN, "From") == datetime(2024, 9, 30, 23, tzinfo=UTC)
    assert read_moment("", BERLIN, "From") is None


def test_from_overrides_a_preset() -> None:
    span = read_range({"from": "2024-09-01T00:00", "to": "2024-09-02T00:00", "range": "7d"}, UTC, NOW)
    assert (span.width, span.preset) == (timedelta(days=1), "")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"range": "never"}, "Range: expected one of 24h, 7d, 28d"),
        ({"to": "yesterday"}, "Until: expected a time such as"),
        ({"from": "2024-10-02"}, "Until: expected a time after From"),
        ({"to": "9999-99-99"}, "Until: expected a time such as"),
        ({"to": "0001-01-01"}, "Until: expected a time from 1971"),
        ({"to": "9999-12-31T23:59"}, "Until: expected a time from 1971"),
        ({"from": "1970-12-31T23:59"}, "From: expected a time from 1971"),
    ],
)
def test_an_invalid_field_is_refused_by_its_name(fields: dict[str, str], message: str) -> None:
    with pytest.raises(RangeError, match=message):
        read_range(fields, UTC, NOW)


@pytest.mark.parametrize("days", [0.01, 1, 7, 28, 365, 3_650, 40_000])
def test_a_range_has_at_most_200_steps(days: float) -> None:
    span = ChosenRange(NOW, NOW + timedelta(days=days))
    assert span.width <= span.step * MOST_STEPS


def test_a_day_has_quarter_hour_steps_and_a_week_has_hour_steps() -> None:
    assert read_range({}, UTC, NOW).step == timedelta(minutes=15)
    assert read_range({"range": "7d"}, UTC, NOW).step == timedelta(hours=1)


def test_the_newest_part_of_a_long_range_is_its_last_week_in_the_same_steps() -> None:
    span = ChosenRange(NOW, NOW + timedelta(days=28, minutes=1))
    newest = span.newest
    assert (newest.end, newest.width) == (span.end, timedelta(days=6, hours=18, minutes=1))
    assert (newest.start - span.start) % span.step == timedelta(0)
    week = ChosenRange(NOW, NOW + timedelta(days=7))
    assert week.newest == week
    assert ChosenRange(NOW, NOW + timedelta(days=40_000)).newest.width <= timedelta(days=40_000) / MOST_STEPS


def test_a_live_range_ends_at_the_next_quarter_hour() -> None:
    assert whole_quarter(NOW) == datetime(2024, 10, 1, 12, 15, tzinfo=UTC)
    assert whole_quarter(datetime(2024, 10, 1, 12, 45, tzinfo=UTC)) == datetime(2024, 10, 1, 12, 45, tzinfo=UTC)
