"""Association times: `Thu Oct 15 08:12:01 UTC 2015`, `2015-10-15 08:12:01`, ISO 8601."""

from datetime import timedelta, tzinfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.ingest.wifi import readings, wallclock
from privacyplease.ingest.wifi.faults import Fault
from privacyplease.ingest.wifi.zones import AMBIGUOUS, fixed_offset

__all__ = ["LATEST", "parse"]

LATEST = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z in ms: the last moment that Python's `datetime` and ISO 8601's four digits have."""

_FORM = "expected a time as 'Thu Oct 15 08:12:01 UTC 2015', '2015-10-15 08:12:01' or ISO 8601"
_CALENDAR = "expected a date and time that exist, in the years 1970 to 9999"
_NO_ZONE = "expected a time with its zone, or a time zone for the whole log"
_UNKNOWN = "expected an offset from UTC or a known zone abbreviation, or a time zone for the whole log that uses it"


def parse(values: pa.StringArray, zone: tzinfo | None) -> tuple[npt.NDArray[np.int64], list[Fault]]:
    """Reads times.

    Args:
        values: string[n], trimmed.
        zone: The zone of times that do not tell theirs, or by an abbreviation with several meanings or none known.

    Returns:
        int64[n], ms since the epoch, UTC, 0 where the value is at fault; and the faults, the gravest first.
    """
    read = readings.read(values)
    utc, faults = _to_utc(read, zone)
    exists = read.exists & (utc >= 0) & (utc <= LATEST)
    grave = [Fault(np.flatnonzero(~read.known), _FORM), Fault(np.flatnonzero(~exists), _CALENDAR)]
    return np.where(read.known & exists, utc, 0), grave + faults


def _to_utc(read: readings.Readings, zone: tzinfo | None) -> tuple[npt.NDArray[np.int64], list[Fault]]:
    utc, faults = read.local.copy(), list[Fault]()
    for name, rows in zip(read.zones, _groups(read.zone, len(read.zones)), strict=True):
        if (offset := fixed_offset(name)) is not None:
            utc[rows] -= offset // timedelta(milliseconds=1)
        elif zone is None:
            faults.append(Fault(rows, _unresolved(name)))
        else:
            utc[rows], found = wallclock.to_utc(read.local[rows], zone, name or None)
            faults += [Fault(rows[fault.rows], fault.reason) for fault in found]
    return utc, faults


def _groups(codes: npt.NDArray[np.int64], count: int) -> list[npt.NDArray[np.int64]]:
    """Gives for each code below `count` the rows that have it. Sorts once: a log full of odd zones stays cheap."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=count)))[:-1]


def _unresolved(name: str) -> str:
    if homes := AMBIGUOUS.get(name.upper()):
        return f"expected a zone with one meaning: {name.upper()} needs a time zone, as {' or '.join(homes)}"
    return _UNKNOWN if name else _NO_ZONE
