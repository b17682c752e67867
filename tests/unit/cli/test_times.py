from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from privacyplease.cli.times import humanised, iso, parse_duration, parse_instant, parse_zone

NOW = datetime(2024, 10, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-10-01T08:00:00Z", "2024-10-01T08:00:00Z"),
        ("2024-10-01T08:00+09:00", "2024-09-30T23:00:00Z"),
        ("2024-10-01 08:00:00.250Z", "2024-10-01T08:00:00.250Z"),
        ("2024-10-01", "2024-10-01T00:00:00Z"),
        ("2024-10-01T08:00", "2024-10-01T08:00:00Z"),
        ("now", "2024-10-01T12:00:00Z"),
        ("-2h", "2024-10-01T10:00:00Z"),
        ("-15m", "2024-10-01T11:45:00Z"),
        ("-3d", "2024-09-28T12:00:00Z"),
        ("-30s", "2024-10-01T11:59:30Z"),
    ],
)
def test_an_instant_reads_as_documented(text: str, expected: str) -> None:
    assert iso(parse_instant(text, NOW, UTC)) == expected


def test_a_time_without_a_zone_is_in_the_given_zone() -> None:
    assert iso(parse_instant("2024-10-01T08:00", NOW, BERLIN)) == "2024-10-01T06:00:00Z"
    assert iso(parse_instant("2024-10-01", NOW, BERLIN)) == "2024-09-30T22:00:00Z"
    assert iso(parse_instant("2024-10-01T08:00Z", NOW, BERLIN)) == "2024-10-01T08:00:00Z"


@pytest.mark.parametrize("text", ["2024-10-27T02:30", "2024-03-31T02:30"], ids=["twice", "never"])
def test_a_local_time_that_occurs_twice_or_never_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="write the offset"):
        parse_instant(text, NOW, BERLIN)


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "-2", "-h", "-2w", "--2h", "+2h", "2h"])
def test_anything_else_is_not_an_instant(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_instant(text, NOW, UTC)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("1h", timedelta(hours=1)),
        ("1d", timedelta(days=1)),
    ],
)
def test_a_duration_reads_as_documented(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


def test_an_unknown_zone_is_rejected() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        parse_zone("Mars/Olympus")


def test_times_are_shown_in_the_given_zone() -> None:
    assert iso(NOW, BERLIN) == "2024-10-01T14:00:00+02:00"
    assert iso(NOW.replace(microsecond=5_000)) == "2024-10-01T12:00:00.005Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (45, "45 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (3_661, "1 h 1 min"), (86_400_000, "1,000 d")],
)
def test_durations_are_humanised(seconds: int, text: str) -> None:
    assert humanised(timedelta(seconds=seconds)) == text
