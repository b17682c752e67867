"""The form of a station's message, as `ingest/DESIGN.md` gives it: which field holds what."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyarrow as pa

__all__ = ["FIELDS", "POSITION", "Field"]

_LARGEST = 2**63 - 1  # what an Arrow integer holds


class Field(NamedTuple):
    """A field of a message; it may be null or missing.

    Attributes:
        type: What Arrow reads it as.
        expected: What a value must be, for messages.
        fits: Whether a value of Python's JSON reader is that.
    """

    type: pa.DataType
    expected: str
    fits: Callable[[object], bool]


def _is_text(value: object) -> bool:
    # JSON can escape half of a surrogate pair, which no encoding has.
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_LARGEST - 1 <= value <= _LARGEST


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_position(value: object) -> bool:
    return isinstance(value, Mapping) and all(value.get(name) is None or _is_number(value[name]) for name in POSITION)


POSITION = ("lat", "lng")

_TEXT = Field(pa.string(), "expected text", _is_text)
_WHOLE = Field(pa.int64(), "expected a whole number", _is_whole)
_TRUTH = Field(pa.bool_(), "expected true or false", lambda value: isinstance(value, bool))
_PLACE = Field(
    pa.struct([(name, pa.float64()) for name in POSITION]), "expected lat and lng as numbers, or null", _is_position
)

FIELDS: Mapping[str, Field] = {
    "contract": _TEXT,
    "number": _TEXT,
    "name": _TEXT,
    "address": _TEXT,
    "position": _PLACE,
    "banking": _TRUTH,
    "bonus": _TRUTH,
    "status": _TEXT,
    "capacity": _WHOLE,
    "available_bikes": _WHOLE,
    "available_bike_stands": _WHOLE,
    "last_update": _WHOLE,
    "source": _TEXT,
    "polled_at": _WHOLE,
}
"""Other fields are left out: those who send them know more than we do."""
