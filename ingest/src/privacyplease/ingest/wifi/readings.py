"""Reads times as they are written: a date, a clock and perhaps the name of a zone."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

__all__ = ["Readings", "read"]

# English whatever the process's locale is, since the log is.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"  # must be one; it need not be the right one
_ZONE = r"(?P<zone>[A-Za-z]{1,5}|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?)"

# All usual forms have the clock at the same place. Clocks differ from session to session, dates and zones hardly do: so
# clocks are read as arrays of digits, and what is around them once for each that differs, with `@` for the clock.
_CLOCK = (11, 19)
_AROUND = (
    rf"(?i)^{_WEEKDAY} {_MONTH} (?P<day>[ \d]\d) @(?P<fraction>) {_ZONE} (?P<year>\d{{4}})$",
    rf"(?i)^(?P<year>\d{{4}})-(?P<month>\d{{2}})-(?P<day>\d{{2}})[T ]@(?:[.,](?P<fraction>\d{{1,9}}))? ?{_ZONE}?$",
)

# The one form in which it is elsewhere, and how to move it: a day of one digit, or more spaces than one.
_MOVED, _BACK = r"^(\w{3}) +(\w{3}) +(\d) +", r"\1 \2 0\3 "


class Readings(NamedTuple):
    """What n times say.

    Attributes:
        local: int64[n], ms since 1970-01-01T00:00 on the clocks of wherever it was; 0 where there is no such time.
        known: bool[n], whether the text has a form that we know.
        exists: bool[n], whether the calendar and the clock have that date and time.
        zones: The zones named, as they are written; "" is none.
        zone: int64[n], which of them each time names.
    """

    local: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    exists: npt.NDArray[np.bool_]
    zones: list[str]
    zone: npt.NDArray[np.int64]


def read(values: pa.StringArray) -> Readings:
    """Reads times (string[n], trimmed)."""
    readings = _read(values)
    return readings if readings.known.all() else _read(pc.replace_substring_regex(values, _MOVED, _BACK))


def _read(values: pa.StringArray) -> Readings:
    time, ticks, ticking = _clocks(pc.utf8_slice_codeunits(values, *_CLOCK))
    around = pc.utf8_replace_slice(values, *_CLOCK, "@").dictionary_encode()
    dates, which = _dates(around.dictionary), around.indices.to_numpy()
    exists = dates.exists[which] & ticking
    return Readings(
        local=np.where(exists, dates.local[which] + time, 0),
        known=dates.known[which] & ticks,
        exists=exists,
        zones=dates.zones,
        zone=dates.zone[which],
    )


def _clocks(
    texts: pa.StringArray,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Gives int64[n], ms since midnight; whether the text is `hh:mm:ss`; and whether there is such a time of day."""
    eight = pc.equal(pc.binary_length(texts), pa.scalar(8, pa.int32()))
    padded = pc.if_else(eight, texts, pa.scalar("--------"))
    text = np.frombuffer(padded.buffers()[2], np.uint8, count=8 * len(padded)).reshape(-1, 8)
    digits = text[:, [0, 1, 3, 4, 6, 7]].astype(np.int64) - ord("0")
    ticks = ((digits >= 0) & (digits <= 9)).all(axis=1) & (text[:, [2, 5]] == ord(":")).all(axis=1)
    hour, minute, second = (digits[:, at] * 10 + digits[:, at + 1] for at in (0, 2, 4))
    ticking = ticks & (hour < 24) & (minute < 60) & (second < 60)
    return (hour * 3_600 + minute * 60 + second) * 1_000, ticks, ticking


def _dates(texts: pa.StringArray) -> Readings:
    local = np.zeros(len(texts), np.int64)
    known, exists, zones = (
        np.zeros(len(texts), np.bool_),
        np.zeros(len(texts), np.bool_),
        np.full(len(texts), "", "U16"),
    )
    for form in _AROUND:
        parts = pc.extract_regex(texts, form)
        fits = np.asarray(parts.is_valid())
        parts, known = parts.drop_null(), known | fits
        local[fits], exists[fits] = _midnight(parts)
        zones[fits] = pc.struct_field(parts, "zone").to_pylist()
    names, zone = np.unique(zones, return_inverse=True)
    return Readings(local, known, exists, names.tolist(), zone)


def _midnight(parts: pa.StructArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Gives int64[n], ms from 1970 to the day (and to a fraction of its clock's second); and whether the day exists."""
    year, month, day = _number(parts, "year"), _month(parts), _number(parts, "day")
    months = (year - 1970).astype("M8[Y]").astype("M8[M]") + (month - 1)
    dates = months.astype("M8[D]") + (day - 1)
    exists = (dates.astype("M8[M]") == months) & (month >= 1) & (month <= 12)
    return dates.astype("M8[ms]").astype(np.int64) + _fraction(parts), exists


def _number(parts: pa.StructArray, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(pc.utf8_ltrim_whitespace(pc.struct_field(parts, name)).cast(pa.int64()))


def _month(parts: pa.StructArray) -> npt.NDArray[np.int64]:
    names = pc.index_in(pc.utf8_lower(pc.struct_field(parts, "month")), value_set=pa.array(_MONTHS))
    if names.null_count:
        return _number(parts, "month")
    return np.asarray(names, np.int64) + 1


def _fraction(parts: pa.StructArray) -> npt.NDArray[np.int64]:
    digits = pc.utf8_rpad(pc.struct_field(parts, "fraction"), 3, "0")
    return np.asarray(pc.utf8_slice_codeunits(digits, 0, 3).cast(pa.int64()))
