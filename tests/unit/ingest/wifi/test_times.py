import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.ingest.errors import ZoneError
from privacyplease.ingest.wifi import times, zone_named
from privacyplease.ingest.wifi.zones import AMBIGUOUS, OFFSETS

VIENNA = ZoneInfo("Europe/Vienna")
MOMENTS = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(9999, 12, 30))


def parse(text: str, zone: dt.tzinfo | None = None) -> Any:
    """The time in UTC, or the reason why it is invalid."""
    [millis], invalid = times.parse(pa.array([text]), zone)
    reasons = [group.reason for group in invalid if len(group.rows)]
    return reasons[0] if reasons else dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(millis))


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, us: int = 0) -> dt.datetime:
    return dt.datetime(year, month, day, hour, minute, second, us, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Thu Oct 15 08:12:01 UTC 2015", utc(2015, 10, 15, 8, 12, 1)),
        ("Thu Oct 15 08:12:01 CEST 2015", utc(2015, 10, 15, 6, 12, 1)),
        ("Thu Oct 15 08:12:01 JST 2015", utc(2015, 10, 14, 23, 12, 1)),
        ("Thu Oct 15 08:12:01 Z 2015", utc(2015, 10, 15, 8, 12, 1)),
        ("Thu Oct 15 08:12:01 GMT+05:30 2015", utc(2015, 10, 15, 2, 42, 1)),
        ("Thu Oct 15 08:12:01 -0330 2015", utc(2015, 10, 15, 11, 42, 1)),
        ("thu oct 15 08:12:01 utc 2015", utc(2015, 10, 15, 8, 12, 1)),
        ("Mon Oct  5 08:12:01 UTC 2015", utc(2015, 10, 5, 8, 12, 1)),
        ("Mon Oct 5 08:12:01 UTC 2015", utc(2015, 10, 5, 8, 12, 1)),
        ("Mon Feb 29 23:59:59 UTC 2016", utc(2016, 2, 29, 23, 59, 59)),
        ("2015-10-15 08:12:01 CEST", utc(2015, 10, 15, 6, 12, 1)),
        ("2015-10-15T08:12:01Z", utc(2015, 10, 15, 8, 12, 1)),
        ("2015-10-15T08:12:01.5Z", utc(2015, 10, 15, 8, 12, 1, 500_000)),
        ("2015-10-15T08:12:01,123456789+02:00", utc(2015, 10, 15, 6, 12, 1, 123_000)),
        ("2015-10-15T08:12:01-08", utc(2015, 10, 15, 16, 12, 1)),
    ],
)
def test_every_format_is_parsed(text: str, moment: dt.datetime) -> None:
    assert parse(text) == moment


@given(MOMENTS, st.sampled_from(["%a %b %d %H:%M:%S UTC {y}", "{y}-%m-%d %H:%M:%S Z", "{y}-%m-%dT%H:%M:%S+00:00"]))
def test_every_time_is_parsed_back(moment: dt.datetime, pattern: str) -> None:
    moment = moment.replace(microsecond=0, tzinfo=dt.UTC)
    assert parse(moment.strftime(pattern.format(y=f"{moment.year:04}"))) == moment


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_every_iso_time_is_parsed_back(moment: dt.datetime, minutes: int) -> None:
    moment = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert parse(moment.isoformat()) == moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


@given(st.text(max_size=40))
def test_no_text_makes_it_fail(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("text", [
    "", "Unknown", "Thu Oct 15 08:12:01 2015", "Xyz Oct 15 08:12:01 UTC 2015", "Thu Xyz 15 08:12:01 UTC 2015",
    "15/10/2015 08:12:01", "Thu Oct 15 08.12.01 UTC 2015", "2015-10-15", "1444896721", "Thu Oct 15 8:12:01 UTC 2015",
])  # fmt: skip
def test_an_unknown_format_is_rejected(text: str) -> None:
    assert parse(text).startswith("expected a time such as")


@pytest.mark.parametrize("text", [
    "Tue Feb 30 08:12:01 UTC 2016", "Sun Feb 29 08:12:01 UTC 2015", "2015-13-01T00:00:00Z", "2015-00-10T00:00:00Z",
    "2015-10-00T00:00:00Z", "2015-10-15T24:00:00Z", "2015-10-15T08:60:00Z", "2015-10-15T08:12:60Z",
    "Mon Oct 15 08:12:01 UTC 2015", "thu Oct 16 08:12:01 CEST 2015", "Sun Mar  4 10:00:00 JST 2014",
    "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00",
])  # fmt: skip
def test_a_time_that_does_not_exist_is_rejected(text: str) -> None:
    assert parse(text) == "expected a date and time that exist, on the weekday named, in the years 1970 to 9999"


def test_the_earliest_and_latest_times_are_parsed() -> None:
    assert parse("1970-01-01T00:00:00Z") == utc(1970, 1, 1)
    assert parse("9999-12-31T23:59:59.999Z") == utc(9999, 12, 31, 23, 59, 59, 999_000)


def test_a_time_without_a_zone_is_rejected_unless_the_user_gives_one() -> None:
    assert (
        parse("2015-10-15 08:12:01")
        == "expected a time with a zone, or a time zone given for the whole log; got neither"
    )
    assert parse("2015-10-15 08:12:01", VIENNA) == utc(2015, 10, 15, 6, 12, 1)
    assert parse("2015-10-15 08:12:01", zone_named("-08:00")) == utc(2015, 10, 15, 16, 12, 1)


def test_a_zone_in_the_log_takes_precedence_over_the_users() -> None:
    assert parse("Thu Oct 15 08:12:01 JST 2015", VIENNA) == utc(2015, 10, 14, 23, 12, 1)
    assert parse("2015-10-15T08:12:01Z", VIENNA) == utc(2015, 10, 15, 8, 12, 1)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_abbreviation_is_rejected_with_its_candidates(name: str) -> None:
    reason = parse(f"Thu Oct 15 08:12:01 {name} 2015")
    assert reason.startswith(f"expected an unambiguous zone, got {name}: ")
    assert all(home in reason for home in AMBIGUOUS[name])


@pytest.mark.parametrize(("name", "zone", "hours"), [
    ("CST", "America/Chicago", -6), ("CST", "Asia/Shanghai", 8),
    ("cst", "America/Havana", -5), ("IST", "Asia/Kolkata", 5.5),
    ("GST", "Asia/Dubai", 4), ("CST", "+08:00", 8), ("EST", "America/New_York", -5),
])  # fmt: skip
def test_the_users_zone_resolves_an_abbreviation_that_it_uses(name: str, zone: str, hours: float) -> None:
    assert parse(f"Fri Jan 15 08:00:00 {name} 2016", zone_named(zone)) == utc(2016, 1, 15, 8) - dt.timedelta(
        hours=hours
    )


@pytest.mark.parametrize(("name", "zone"), [
    ("CST", "Europe/Vienna"), ("BST", "Europe/London"), ("CST", "+03:00"),
    ("EST", "America/Chicago"),
])  # fmt: skip
def test_an_abbreviation_that_the_users_zone_does_not_use_is_rejected(name: str, zone: str) -> None:
    assert parse(f"Fri Jan 15 08:00:00 {name} 2016", zone_named(zone)).startswith(
        "expected an offset from UTC, or an abbreviation that"
    )


def test_an_unknown_abbreviation_is_rejected() -> None:
    assert parse("Thu Oct 15 08:12:01 XYZ 2015").startswith("expected an offset from UTC, a known zone abbreviation")


def test_a_time_in_a_gap_is_rejected() -> None:
    assert parse("2024-03-31 02:30:00", VIENNA).startswith("expected a time that exists in Europe/Vienna")
    assert parse("2024-03-31 01:59:59", VIENNA) == utc(2024, 3, 31, 0, 59, 59)
    assert parse("2024-03-31 03:00:00", VIENNA) == utc(2024, 3, 31, 1)


def test_a_time_in_a_fold_is_rejected_unless_its_abbreviation_decides() -> None:
    assert "occurs twice in Europe/Vienna" in parse("2024-10-27 02:30:00", VIENNA)
    assert parse("2024-10-27 02:30:00 CEST", VIENNA) == utc(2024, 10, 27, 0, 30)
    assert parse("2024-10-27 02:30:00 CET", VIENNA) == utc(2024, 10, 27, 1, 30)
    chicago = ZoneInfo("America/Chicago")
    assert parse("2024-11-03 01:30:00 CDT", chicago) == utc(2024, 11, 3, 6, 30)
    assert parse("2024-11-03 01:30:00 CST", chicago) == utc(2024, 11, 3, 7, 30)


@given(
    st.datetimes(dt.datetime(1970, 1, 3), dt.datetime(2100, 1, 1)),
    st.sampled_from(
        [
            "Europe/Vienna",
            "America/St_Johns",
            "America/Havana",
            "Australia/Lord_Howe",
            "Asia/Tehran",
            "Pacific/Apia",
            "Africa/Casablanca",
            "Asia/Beirut",
        ]
    ),
)
def test_local_times_convert_as_in_python(moment: dt.datetime, zone: str) -> None:
    local, zone_info = moment.replace(microsecond=0), ZoneInfo(zone)
    both = {local.replace(tzinfo=zone_info, fold=fold).astimezone(dt.UTC) for fold in (0, 1)}
    parsed = parse(local.isoformat(" "), zone_info)
    assert isinstance(parsed, str) if len(both) == 2 else both == {parsed}


def test_every_abbreviation_in_the_table_has_one_meaning() -> None:
    for zone in map(ZoneInfo, sorted(available_timezones() - {"Factory", "localtime"})):
        for day in range(0, 27 * 365, 28):
            moment = (utc(2000, 1, 1) + dt.timedelta(days=day)).astimezone(zone)
            name = str(moment.tzname()).upper()
            assert OFFSETS.get(name, moment.utcoffset()) == moment.utcoffset(), (name, zone)


def test_no_abbreviation_is_in_both_tables() -> None:
    assert not OFFSETS.keys() & AMBIGUOUS.keys()


def test_each_candidate_of_an_ambiguous_abbreviation_is_a_time_zone() -> None:
    assert {home for homes in AMBIGUOUS.values() for home in homes} <= available_timezones()


@pytest.mark.parametrize("name", ["CST", "Nowhere/Land", "", "+25:00", "../etc/passwd"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ZoneError):
        zone_named(name)


@pytest.mark.parametrize("text", [
    "2024-01-16 08:12:01 PM", "2024-01-16 08:12:01AM", "Jan 16, 2024 08:12:01 PM UTC", "16 January 2024 11:35 p.m. PST",
    "01/16/2024 8:12:01 PM", "2024-01-16T08:12:01 pm",
])  # fmt: skip
@pytest.mark.parametrize("zone", [None, "UTC", "America/Los_Angeles"])
def test_a_clock_of_twelve_hours_is_rejected_as_such(text: str, zone: str | None) -> None:
    assert parse(text, zone_named(zone) if zone else None).startswith("expected a 24-hour clock")


@pytest.mark.parametrize(("text", "zone", "moment"), [
    ("Tue Mar 04 10:00:00 WIT 2014", "Asia/Jakarta", utc(2014, 3, 4, 3)),
    ("Tue Mar 04 10:00:00 WIT 2014", "Asia/Jayapura", utc(2014, 3, 4, 1)),
    ("Tue Mar 04 10:00:00 CIT 2014", "Asia/Makassar", utc(2014, 3, 4, 2)),
    ("Fri Jul 04 10:00:00 CST 2014", "Australia/Adelaide", utc(2014, 7, 4, 0, 30)),
    ("Wed Jan 15 10:00:00 BRST 2014", "America/Sao_Paulo", utc(2014, 1, 15, 12)),
    ("Wed Jan 15 10:00:00 XYZ 2014", "Europe/Vienna", utc(2014, 1, 15, 9)),
])  # fmt: skip
def test_the_zone_given_for_the_log_settles_an_ambiguous_or_unknown_abbreviation(
    text: str, zone: str, moment: dt.datetime
) -> None:
    assert isinstance(parse(text), str)
    assert parse(text, zone_named(zone)) == moment
