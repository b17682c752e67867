"""Converts local times to UTC by the rules of a time zone, with its gaps, folds and abbreviations."""

from datetime import datetime, timedelta, timezone, tzinfo

import numpy as np
import numpy.typing as npt

from privacyplease.ingest.wifi.columns import InvalidRows
from privacyplease.ingest.wifi.zones import AMBIGUOUS

__all__ = ["to_utc"]

_DAY = 86_400_000
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1)  # local time, so without a zone


def to_utc(
    local: npt.NDArray[np.int64], zone: tzinfo, abbreviation: str | None
) -> tuple[npt.NDArray[np.int64], list[InvalidRows]]:
    """Converts the local times of a zone to UTC.

    Python's `tzinfo` converts one time per call. So it is called once per day, and once per distinct second only on
    days when the offset changes (two a year).

    Args:
        local: int64[n], ms since 1970-01-01T00:00 in the zone's local time.
        zone: The zone.
        abbreviation: The zone's abbreviation in the log; None if it has none.

    Returns:
        int64[n], ms since the epoch, UTC; and the rows whose time does not exist in the zone, occurs twice there, or
        has an abbreviation of other zones.
    """
    days, day = np.unique(local // _DAY, return_inverse=True)
    steady = np.array([_is_steady(int(number) * _DAY, zone) for number in days], np.bool_)[day]
    moments, moment = np.unique(np.where(steady, local // _DAY * _DAY, local // 1_000 * 1_000), return_inverse=True)
    offsets, reasons = zip(*(_offset_or_reason(int(each), zone, abbreviation) for each in moments), strict=True)
    utc = local - np.array([offset // _MILLISECOND for offset in offsets], np.int64)[moment]
    reason = np.array(reasons)[moment]
    return utc, [InvalidRows(np.flatnonzero(reason == text), text) for text in sorted({*reasons} - {""})]


def _is_steady(midnight: int, zone: tzinfo) -> bool:
    evening = midnight + _DAY - 1_000
    return len({(time.utcoffset(), time.tzname()) for local in (midnight, evening) for time in _both(local, zone)}) == 1


def _both(local: int, zone: tzinfo) -> list[datetime]:
    """The first and the second time with this local time (PEP 495); usually they are the same."""
    moment = _EPOCH + timedelta(milliseconds=local)
    return [moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]


def _offset_or_reason(local: int, zone: tzinfo, abbreviation: str | None) -> tuple[timedelta, str]:
    """Gives the offset from UTC, or the reason why it cannot be determined."""
    first, second = _both(local, zone)
    before, after = _offset(first), _offset(second)
    if before < after:  # PEP 495: only in a gap
        return timedelta(0), f"expected a time that exists in {zone}, got one skipped when the clocks went forward"
    times = [time for time in (first, second) if abbreviation is None or _has_abbreviation(time, abbreviation)]
    offsets = {_offset(time) for time in times}
    if not offsets:
        return timedelta(0), f"expected an offset from UTC, or an abbreviation that {zone} uses at that time"
    if len(offsets) == 2:
        return timedelta(0), f"expected an abbreviation or offset too, got a time that occurs twice in {zone}"
    return offsets.pop(), ""


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)


def _has_abbreviation(moment: datetime, abbreviation: str) -> bool:
    if (moment.tzname() or "").upper() == abbreviation.upper():
        return True
    # Many zones have no abbreviation in the IANA database (Dubai is "+04"), and neither has a fixed offset.
    homes = AMBIGUOUS.get(abbreviation.upper())
    if homes is None:  # it means nothing elsewhere either: the zone given for the log says what it is
        return True
    hours = _offset(moment) / timedelta(hours=1)
    return hours in homes.values() if isinstance(moment.tzinfo, timezone) else homes.get(str(moment.tzinfo)) == hours
