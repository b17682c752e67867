"""From what clocks on a wall show to instants, by the rules of a time zone: gaps, folds and abbreviations."""

from datetime import datetime, timedelta, timezone, tzinfo

import numpy as np
import numpy.typing as npt

from privacyplease.ingest.wifi.faults import Fault
from privacyplease.ingest.wifi.zones import AMBIGUOUS

__all__ = ["to_utc"]

_DAY = 86_400_000
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1)  # without a zone, as a clock on a wall


def to_utc(
    local: npt.NDArray[np.int64], zone: tzinfo, abbreviation: str | None
) -> tuple[npt.NDArray[np.int64], list[Fault]]:
    """Turns wall clock times of a zone into instants.

    Python's `tzinfo` takes one time at a time. So days on which the clocks run on are asked for once, and only on a day
    when they are changed (two a year) each distinct second is.

    Args:
        local: int64[n], ms since 1970-01-01T00:00 on the zone's clocks.
        zone: The zone.
        abbreviation: What the log calls the zone at these times; None if it does not say.

    Returns:
        int64[n], ms since the epoch, UTC; and the faults: times that do not exist, or twice, or are called otherwise.
    """
    days, day = np.unique(local // _DAY, return_inverse=True)
    steady = np.array([_is_steady(int(number) * _DAY, zone) for number in days], np.bool_)[day]
    moments, moment = np.unique(np.where(steady, local // _DAY * _DAY, local // 1_000 * 1_000), return_inverse=True)
    offsets, reasons = zip(*(_reading(int(each), zone, abbreviation) for each in moments), strict=True)
    utc = local - np.array([offset // _MILLISECOND for offset in offsets], np.int64)[moment]
    reason = np.array(reasons)[moment]
    return utc, [Fault(np.flatnonzero(reason == each), each) for each in sorted({*reasons} - {""})]


def _is_steady(midnight: int, zone: tzinfo) -> bool:
    evening = midnight + _DAY - 1_000
    return len({(at.utcoffset(), at.tzname()) for each in (midnight, evening) for at in _both(each, zone)}) == 1


def _both(local: int, zone: tzinfo) -> list[datetime]:
    """The first and the second time that the clocks show this (PEP 495); most often one and the same."""
    moment = _EPOCH + timedelta(milliseconds=local)
    return [moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]


def _reading(local: int, zone: tzinfo, abbreviation: str | None) -> tuple[timedelta, str]:
    """Gives the offset from UTC, or the reason why there is none."""
    first, second = _both(local, zone)
    before, after = _offset(first), _offset(second)
    if before < after:  # PEP 495: only in a gap
        return timedelta(0), f"expected a time that exists in {zone}, where clocks were put forward over it"
    offsets = {_offset(each) for each in (first, second) if abbreviation is None or _is_called(each, abbreviation)}
    if not offsets:
        return timedelta(0), f"expected an abbreviation that {zone} uses at that time, or an offset from UTC"
    if len(offsets) == 2:
        return timedelta(0), f"expected an abbreviation or offset too: {zone} has that time twice, clocks were put back"
    return offsets.pop(), ""


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta(0)


def _is_called(moment: datetime, abbreviation: str) -> bool:
    if (moment.tzname() or "").upper() == abbreviation.upper():
        return True
    # Many zones have no letters in the IANA database (Dubai is "+04"), and a bare offset has none at all.
    homes = AMBIGUOUS.get(abbreviation.upper(), {})
    hours = _offset(moment) / timedelta(hours=1)
    return hours in homes.values() if isinstance(moment.tzinfo, timezone) else homes.get(str(moment.tzinfo)) == hours
