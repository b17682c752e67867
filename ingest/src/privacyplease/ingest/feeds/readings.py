"""Reads single values as feeds write them. What cannot be read is null: one odd value must not cost the record.

>>> truth("1"), truth(0), truth("maybe")
(True, False, None)
>>> moment("2019-04-08T12:23:34Z"), moment(1451295410000), moment(1451295410, unit=1_000), moment(0)
(1554726214000, 1451295410000, 1451295410000, None)
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

__all__ = ["floating", "moment", "name", "position", "text", "truth", "whole"]

_LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z in ms
_MILLISECONDS_FROM = 100_000_000_000  # as seconds this is the year 5138: feeds that should give seconds give ms
_LARGEST = 2**63 - 1  # what an Arrow or SQL integer holds

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def text(value: object) -> str | None:
    """Text as it is, empty text too; numbers as text."""
    if isinstance(value, str):
        # JSON can escape half of a surrogate pair, which no encoding has.
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return name(value)
    return None


def name(value: object) -> str | None:
    """An identifier: a trimmed text, or a whole number of any size."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (text(value) or "").strip() or None if isinstance(value, str) else None


def whole(value: object) -> int | None:
    """A whole number, also as text or with a fraction of zero."""
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return value
    return None


def floating(value: object) -> float | None:
    """A number, also as text."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def truth(value: object) -> bool | None:
    """A boolean, also as 0, 1 or text."""
    return _TRUTHS.get(str(value).strip().lower()) if isinstance(value, (bool, int, str)) else None


def moment(value: object, unit: int = 1) -> int | None:
    """A time, ms since the epoch, UTC.

    Args:
        value: A number of units since the epoch, or ISO 8601.
        unit: How many milliseconds a unit has.
    """
    number = whole(math.floor(value) if isinstance(value, float) and math.isfinite(value) else value)
    if number is not None:
        number = number if number >= _MILLISECONDS_FROM else number * unit
    elif isinstance(value, str):
        number = _iso_8601(value)
    return number if number is not None and 0 < number <= _LATEST else None


def _iso_8601(value: str) -> int | None:
    try:
        read = datetime.fromisoformat(value.strip())
        return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None


def position(record: Mapping[str, object]) -> tuple[float, float] | None:
    """Latitude and longitude of a station, whatever a feed calls them: within `position`, or flat."""
    nested = record.get("position")
    for place in (nested, record):
        if isinstance(place, Mapping):
            latitude = floating(_first(place, ("lat", "latitude")))
            longitude = floating(_first(place, ("lng", "lon", "longitude")))
            if latitude is not None and longitude is not None:
                return latitude, longitude
    return None


def _first(record: Mapping[str, object], names: Sequence[str]) -> object:
    return next((record[each] for each in names if record.get(each) is not None), None)
