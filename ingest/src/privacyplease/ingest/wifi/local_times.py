"""Parses local times as they are written: a date, a time of day and perhaps the name of a zone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

__all__ = ["LocalTimes", "parse"]

# Always English, like the log, whatever the process's locale.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY = rf"(?P<weekday>{'|'.join(_WEEKDAYS)})"
_NO_WEEKDAY = "(?P<weekday>)"
_ZONE = r"(?P<zone>[A-Za-z]{1,5}|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?)"

# All usual formats have the time of day at the same position. It differs from session to session, while dates and zones
# repeat: so times of day are parsed as arrays of digits, and the text around them once per distinct value, with `@` in
# place of the time of day.
_CLOCK = (11, 19)
_AROUND = (
    rf"(?i)^{_WEEKDAY} {_MONTH} (?P<day>[ \d]\d) @(?P<fraction>) {_ZONE} (?P<year>\d{{4}})$",
    rf"(?i)^{_NO_WEEKDAY}(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})[T ]@"
    rf"(?:[.,](?P<fraction>\d{{1,9}}))? ?{_ZONE}?$",
)

# The one format in which it is elsewhere, a day of one digit or several spaces, and how to normalise that.
_SHIFTED, _NORMALISED = r"^(\w{3}) +(\w{3}) +(\d) +", r"\1 \2 0\3 "


class LocalTimes(NamedTuple):
    """n parsed local times.

    Attributes:
        local: int64[n], ms since 1970-01-01T00:00 in local time; 0 where there is no such time.
        known: bool[n], whether the text has a known format.
        exists: bool[n], whether there is such a date and time of day, on the weekday named.
        zones: The distinct zone names, as written; "" for none.
        zone: int64[n], the index of each time's zone in `zones`.
    """

    local: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    exists: npt.NDArray[np.bool_]
    zones: list[str]
    zone: npt.NDArray[np.int64]


def parse(values: pa.StringArray) -> LocalTimes:
    """Parses times (string[n], trimmed)."""
    times = _parse(values)
    return times if times.known.all() else _parse(pc.replace_substring_regex(values, _SHIFTED, _NORMALISED))


def _parse(values: pa.StringArray) -> LocalTimes:
    time, is_clock, clock_exists = _clocks(pc.utf8_slice_codeunits(values, *_CLOCK))
    around = pc.utf8_replace_slice(values, *_CLOCK, "@").dictionary_encode()
    dates, date = _dates(around.dictionary), around.indices.to_numpy()
    exists = dates.exists[date] & clock_exists
    return LocalTimes(
        local=np.where(exists, dates.local[date] + time, 0),
        known=dates.known[date] & is_clock,
        exists=exists,
        zones=dates.zones,
        zone=dates.zone[date],
    )


def _clocks(
    texts: pa.StringArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Gives int64[n], ms since midnight; whether the text is `hh:mm:ss`; and whether there is such a time of day."""
    eight = pc.equal(pc.binary_length(texts), pa.scalar(8, pa.int32()))
    padded = pc.if_else(eight, texts, pa.scalar("--------"))
    text = np.frombuffer(padded.buffers()[2], np.uint8, count=8 * len(padded)).reshape(-1, 8)
    digits = text[:, [0, 1, 3, 4, 6, 7]].astype(np.int64) - ord("0")
    is_clock = ((digits >= 0) & (digits <= 9)).all(axis=1) & (text[:, [2, 5]] == ord(":")).all(axis=1)
    hour, minute, second = (digits[:, index] * 10 + digits[:, index + 1] for index in (0, 2, 4))
    exists = is_clock & (hour < 24) & (minute < 60) & (second < 60)
    return (hour * 3_600 + minute * 60 + second) * 1_000, is_clock, exists


def _dates(texts: pa.StringArray) -> LocalTimes:
    local = np.zeros(len(texts), np.int64)
    known, exists, zones = (
        np.zeros(len(texts), np.bool_),
        np.zeros(len(texts), np.bool_),
        np.full(len(texts), "", "U16"),
    )
    for pattern in _AROUND:
        parts = pc.extract_regex(texts, pattern)
        matches = np.asarray(parts.is_valid())
        parts, known = parts.drop_null(), known | matches
        local[matches], exists[matches] = _midnight(parts)
        zones[matches] = pc.struct_field(parts, "zone").to_pylist()
    names, zone = np.unique(zones, return_inverse=True)
    return LocalTimes(local, known, exists, names.tolist(), zone)


def _midnight(parts: pa.StructArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Gives int64[n], ms from 1970 to the day (plus the fraction of a second, if any); and whether the day exists."""
    year, month, day = _number(parts, "year"), _month(parts), _number(parts, "day")
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1)
    dates = months.astype("M8[D]") + (day - 1)
    exists = (
        (dates.astype("M8[M]") == months) & (month >= 1) & (month <= 12) & _is_weekday(parts, dates.astype(np.int64))
    )
    return dates.astype("M8[ms]").astype(np.int64) + _fraction(parts), exists


def _number(parts: pa.StructArray, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(pc.utf8_ltrim_whitespace(pc.struct_field(parts, name)).cast(pa.int64()))


def _month(parts: pa.StructArray) -> npt.NDArray[np.int64]:
    names = pc.index_in(pc.utf8_lower(pc.struct_field(parts, "month")), value_set=pa.array(_MONTHS))
    if names.null_count:
        return _number(parts, "month")
    return np.asarray(names, np.int64) + 1


def _is_weekday(parts: pa.StructArray, days: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether each day, counted from 1970-01-01, is the weekday named, if any is."""
    named = pc.index_in(pc.utf8_lower(pc.struct_field(parts, "weekday")), value_set=pa.array(_WEEKDAYS)).fill_null(-1)
    weekday = (days + 3) % 7  # that was a Thursday
    is_named: npt.NDArray[np.bool_] = (np.asarray(named) == weekday) | (np.asarray(named) < 0)
    return is_named


def _fraction(parts: pa.StructArray) -> npt.NDArray[np.int64]:
    digits = pc.utf8_rpad(pc.struct_field(parts, "fraction"), 3, "0")
    return np.asarray(pc.utf8_slice_codeunits(digits, 0, 3).cast(pa.int64()))
