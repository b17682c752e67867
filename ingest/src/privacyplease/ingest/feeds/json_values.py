"""Reads JSON values leniently, as feeds write them. An unreadable value is null, and does not invalidate its record.

>>> boolean("1"), boolean(0), boolean("maybe")
(True, False, None)
>>> unix_ms("2019-04-08T12:23:34Z"), unix_ms(1451295410000), unix_ms(1451295410, unit=1_000), unix_ms(0)
(1554726214000, 1451295410000, 1451295410000, None)
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

__all__ = ["boolean", "count", "identifier", "integer", "number", "position", "text", "unix_ms"]

_LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z in ms
_MILLISECONDS_FROM = 100_000_000_000  # the year 5138 in seconds: some feeds that should use seconds use ms
_LARGEST = 2**63 - 1  # what an Arrow or SQL integer holds

_IMPOSSIBLE_COUNT = 100_000

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def text(value: object) -> str | None:
    """Text unchanged, even if empty; numbers as text."""
    if isinstance(value, str):
        # JSON can escape half of a surrogate pair, which cannot be encoded.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return identifier(value)
    return None


def identifier(value: object) -> str | None:
    """An identifier: text, trimmed, or a whole number of any size."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (text(value) or "").strip() or None if isinstance(value, str) else None


def integer(value: object) -> int | None:
    """A whole number; also as text or with a zero fraction."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return value
    return None


def count(value: object) -> int | None:
    """A number of bikes or stands: none is negative, and no station has a hundred thousand."""
    whole = integer(value)
    return whole if whole is not None and 0 <= whole < _IMPOSSIBLE_COUNT else None


def number(value: object) -> float | None:
    """A finite number; also as text."""
    try:
        parsed = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def boolean(value: object) -> bool | None:
    """A boolean; also as 0, 1 or text."""
    return _BOOLEANS.get(str(value).strip().lower()) if isinstance(value, (bool, int, str)) else None


def unix_ms(value: object, unit: int = 1) -> int | None:
    """A time, ms since the epoch, UTC.

    Args:
        value: A number of units since the epoch, or ISO 8601.
        unit: The length of a unit in milliseconds.
    """
    millis = integer(math.floor(value) if isinstance(value, float) and math.isfinite(value) else value)
    if millis is not None:
        millis = millis if millis >= _MILLISECONDS_FROM else millis * unit
    elif isinstance(value, str):
        millis = _iso_8601(value)
    return millis if millis is not None and 0 < millis <= _LATEST else None


def _iso_8601(value: str) -> int | None:
    try:
        time = datetime.fromisoformat(value.strip())
        return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None


def position(record: Mapping[str, object]) -> tuple[float, float] | None:
    """Latitude and longitude of a station, whatever their names: within `position`, or in the record itself."""
    nested = record.get("position")
    for place in (nested, record):
        if isinstance(place, Mapping):
            latitude = number(_first(place, ("lat", "latitude")))
            longitude = number(_first(place, ("lng", "lon", "longitude")))
            if latitude is not None and longitude is not None:
                return latitude, longitude
    return None


def _first(record: Mapping[str, object], names: Sequence[str]) -> object:
    return next((record[each] for each in names if record.get(each) is not None), None)
