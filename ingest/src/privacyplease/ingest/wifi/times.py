"""Association times: `Thu Oct 15 08:12:01 UTC 2015`, `2015-10-15 08:12:01`, ISO 8601."""

from datetime import timedelta, tzinfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.wifi import local_times, utc_conversion
from privacyplease.ingest.wifi.columns import InvalidRows
from privacyplease.ingest.wifi.zones import AMBIGUOUS, fixed_offset

__all__ = ["LATEST", "parse"]

LATEST = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z in ms: the latest time that Python's `datetime` and a four-digit year can represent."""

_AM_PM = r"(?i)\d ?[ap]\.?m\b"
_FORMAT = "expected a time such as 'Thu Oct 15 08:12:01 UTC 2015', '2015-10-15 08:12:01' or ISO 8601"
_TWELVE_HOURS = "expected a 24-hour clock, got one of 12 hours (AM or PM): export the report with 24-hour times"
_NONEXISTENT = "expected a date and time that exist, on the weekday named, in the years 1970 to 9999"
_NO_ZONE = "expected a time with a zone, or a time zone given for the whole log; got neither"
_UNKNOWN_ZONE = "expected an offset from UTC, a known zone abbreviation, or one used by the time zone given for the log"


def parse(values: pa.StringArray, zone: tzinfo | None) -> tuple[npt.NDArray[np.int64], list[InvalidRows]]:
    """Parses times.

    Args:
        values: string[n], trimmed.
        zone: The zone of times that do not name theirs, or name it by an abbreviation that is ambiguous or unknown.

    Returns:
        int64[n], ms since the epoch, UTC, 0 where the value is invalid; and the invalid rows, the worst first.
    """
    local = local_times.parse(values)
    utc, unresolved = _to_utc(local, zone)
    exists = local.exists & (utc >= 0) & (utc <= LATEST)
    twelve = _of_twelve_hours(values, local)
    invalid = [
        InvalidRows(np.flatnonzero(twelve), _TWELVE_HOURS),
        InvalidRows(np.flatnonzero(~local.known), _FORMAT),
        InvalidRows(np.flatnonzero(~exists), _NONEXISTENT),
    ]
    return np.where(local.known & exists, utc, 0), invalid + unresolved


def _of_twelve_hours(values: pa.StringArray, local: local_times.LocalTimes) -> npt.NDArray[np.bool_]:
    """Where a time of day is followed by AM or PM, which looks like the abbreviation of a zone."""
    if local.known.all() and not {"AM", "PM"}.intersection(map(str.upper, local.zones)):
        return np.zeros(len(values), np.bool_)
    found: npt.NDArray[np.bool_] = pc.match_substring_regex(values, _AM_PM).to_numpy(zero_copy_only=False)
    return found


def _to_utc(times: local_times.LocalTimes, zone: tzinfo | None) -> tuple[npt.NDArray[np.int64], list[InvalidRows]]:
    utc, invalid = times.local.copy(), list[InvalidRows]()
    for name, rows in zip(times.zones, _groups(times.zone, len(times.zones)), strict=True):
        if (offset := fixed_offset(name)) is not None:
            utc[rows] -= offset // timedelta(milliseconds=1)
        elif zone is None:
            invalid.append(InvalidRows(rows, _unresolved(name)))
        else:
            utc[rows], unresolved = utc_conversion.to_utc(times.local[rows], zone, name or None)
            invalid += [InvalidRows(rows[group.rows], group.reason) for group in unresolved]
    return utc, invalid


def _groups(codes: npt.NDArray[np.int64], count: int) -> list[npt.NDArray[np.int64]]:
    """The rows of each code below `count`. Sorts once, so that many distinct zones stay cheap."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=count)))[:-1]


def _unresolved(name: str) -> str:
    if homes := AMBIGUOUS.get(name.upper()):
        return f"expected an unambiguous zone, got {name.upper()}: give the log's time zone, e.g. {' or '.join(homes)}"
    return _UNKNOWN_ZONE if name else _NO_ZONE
