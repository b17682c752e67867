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
    """The moment, or the reason why there is none."""
    [instant], faults = times.parse(pa.array([text]), zone)
    reasons = [fault.reason for fault in faults if len(fault.rows)]
    return reasons[0] if reasons else dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=int(instant))


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
        ("Mon Oct 15 08:12:01 UTC 2015", utc(2015, 10, 15, 8, 12, 1)),
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
def test_every_form_is_read(text: str, moment: dt.datetime) -> None:
    assert parse(text) == moment


@given(MOMENTS, st.sampled_from(["%a %b %d %H:%M:%S UTC {y}", "{y}-%m-%d %H:%M:%S Z", "{y}-%m-%dT%H:%M:%S+00:00"]))
def test_every_moment_is_read_back(moment: dt.datetime, form: str) -> None:
    moment = moment.replace(microsecond=0, tzinfo=dt.UTC)
    assert parse(moment.strftime(form.format(y=f"{moment.year:04}"))) == moment


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_every_iso_moment_is_read_back(moment: dt.datetime, minutes: int) -> None:
    moment = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert parse(moment.isoformat()) == moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


@given(st.text(max_size=40))
def test_nothing_makes_it_fail(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("text", [
    "", "Unknown", "Thu Oct 15 08:12:01 2015", "Xyz Oct 15 08:12:01 UTC 2015", "Thu Xyz 15 08:12:01 UTC 2015",
    "15/10/2015 08:12:01", "Thu Oct 15 08.12.01 UTC 2015", "2015-10-15", "1444896721", "Thu Oct 15 8:12:01 UTC 2015",
])  # fmt: skip
def test_another_form_is_refused(text: str) -> None:
    assert parse(text).startswith("expected a time as")


@pytest.mark.parametrize("text", [
    "Tue Feb 30 08:12:01 UTC 2016", "Sun Feb 29 08:12:01 UTC 2015", "2015-13-01T00:00:00Z", "2015-00-10T00:00:00Z",
    "2015-10-00T00:00:00Z", "2015-10-15T24:00:00Z", "2015-10-15T08:60:00Z", "2015-10-15T08:12:60Z",
    "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00",
])  # fmt: skip
def test_a_time_that_does_not_exist_is_refused(text: str) -> None:
    assert parse(text) == "expected a date and time that exist, in the years 1970 to 9999"


def test_the_ends_of_time_are_read() -> None:
    assert parse("1970-01-01T00:00:00Z") == utc(1970, 1, 1)
    assert parse("9999-12-31T23:59:59.999Z") == utc(9999, 12, 31, 23, 59, 59, 999_000)


def test_a_time_without_zone_needs_one_from_the_user() -> None:
    assert parse("2015-10-15 08:12:01") == "expected a time with its zone, or a time zone for the whole log"
    assert parse("2015-10-15 08:12:01", VIENNA) == utc(2015, 10, 15, 6, 12, 1)
    assert parse("2015-10-15 08:12:01", zone_named("-08:00")) == utc(2015, 10, 15, 16, 12, 1)


def test_a_zone_in_the_log_goes_before_the_users() -> None:
    assert parse("Thu Oct 15 08:12:01 JST 2015", VIENNA) == utc(2015, 10, 14, 23, 12, 1)
    assert parse("2015-10-15T08:12:01Z", VIENNA) == utc(2015, 10, 15, 8, 12, 1)


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_abbreviation_is_refused_with_its_candidates(name: str) -> None:
    reason = parse(f"Thu Oct 15 08:12:01 {name} 2015")
    assert reason.startswith(f"expected a zone with one meaning: {name} needs a time zone, as ")
    assert all(home in reason for home in AMBIGUOUS[name])


@pytest.mark.parametrize(("name", "zone", "hours"), [
    ("CST", "America/Chicago", -6), ("CST", "Asia/Shanghai", 8),
    ("cst", "America/Havana", -5), ("IST", "Asia/Kolkata", 5.5),
    ("GST", "Asia/Dubai", 4), ("CST", "+08:00", 8), ("EST", "America/New_York", -5),
])  # fmt: skip
def test_the_users_zone_settles_an_abbreviation_that_it_uses(name: str, zone: str, hours: float) -> None:
    assert parse(f"Fri Jan 15 08:00:00 {name} 2016", zone_named(zone)) == utc(2016, 1, 15, 8) - dt.timedelta(
        hours=hours
    )


@pytest.mark.parametrize(("name", "zone"), [
    ("CST", "Europe/Vienna"), ("BST", "Europe/London"), ("CST", "+03:00"), ("XYZ", "Europe/Vienna"),
    ("EST", "America/Chicago"),
])  # fmt: skip
def test_an_abbreviation_that_the_users_zone_does_not_use_then_is_refused(name: str, zone: str) -> None:
    assert parse(f"Fri Jan 15 08:00:00 {name} 2016", zone_named(zone)).startswith("expected an abbreviation that")


def test_an_unknown_abbreviation_is_refused() -> None:
    assert parse("Thu Oct 15 08:12:01 XYZ 2015").startswith("expected an offset from UTC or a known zone abbreviation")


def test_a_time_in_a_gap_is_refused() -> None:
    assert parse("2024-03-31 02:30:00", VIENNA).startswith("expected a time that exists in Europe/Vienna")
    assert parse("2024-03-31 01:59:59", VIENNA) == utc(2024, 3, 31, 0, 59, 59)
    assert parse("2024-03-31 03:00:00", VIENNA) == utc(2024, 3, 31, 1)


def test_a_time_in_a_fold_is_refused_unless_its_abbreviation_tells() -> None:
    assert "has that time twice" in parse("2024-10-27 02:30:00", VIENNA)
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
def test_wall_clocks_agree_with_python(moment: dt.datetime, zone: str) -> None:
    local, place = moment.replace(microsecond=0), ZoneInfo(zone)
    both = {local.replace(tzinfo=place, fold=fold).astimezone(dt.UTC) for fold in (0, 1)}
    read = parse(local.isoformat(" "), place)
    assert isinstance(read, str) if len(both) == 2 else both == {read}


def test_every_abbreviation_in_the_table_has_one_meaning() -> None:
    for zone in map(ZoneInfo, sorted(available_timezones() - {"Factory", "localtime"})):
        for day in range(0, 27 * 365, 28):
            moment = (utc(2000, 1, 1) + dt.timedelta(days=day)).astimezone(zone)
            name = str(moment.tzname()).upper()
            assert OFFSETS.get(name, moment.utcoffset()) == moment.utcoffset(), (name, zone)


def test_no_abbreviation_is_both_clear_and_ambiguous() -> None:
    assert not OFFSETS.keys() & AMBIGUOUS.keys()


def test_each_home_of_an_ambiguous_abbreviation_is_a_time_zone() -> None:
    assert {home for homes in AMBIGUOUS.values() for home in homes} <= available_timezones()


@pytest.mark.parametrize("name", ["CST", "Nowhere/Land", "", "+25:00", "../etc/passwd"])
def test_a_time_zone_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ZoneError):
        zone_named(name)
