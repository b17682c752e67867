"""The format of a station's message, as defined in `ingest/DESIGN.md`: the type of each field."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import pyarrow as pa

__all__ = ["FIELDS", "POSITION", "MessageField"]

_MAX_INTEGER = 2**63 - 1  # what an Arrow integer holds


class MessageField(NamedTuple):
    """A field of a message; it may be null or missing.

    Attributes:
        type: Its type in Arrow.
        expected: What a value must be, as text for messages.
        is_valid: Whether a value from Python's JSON parser is that.
    """

    type: pa.DataType
    expected: str
    is_valid: Callable[[object], bool]


def _is_text(value: object) -> bool:
    # JSON can escape half of a surrogate pair, which cannot be encoded.
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_position(value: object) -> bool:
    return isinstance(value, Mapping) and all(value.get(name) is None or _is_number(value[name]) for name in POSITION)


POSITION = ("lat", "lng")

_TEXT = MessageField(pa.string(), "expected text", _is_text)
_INTEGER = MessageField(pa.int64(), "expected a whole number", _is_integer)
_BOOLEAN = MessageField(pa.bool_(), "expected true or false", lambda value: isinstance(value, bool))
_POSITION = MessageField(
    pa.struct([(name, pa.float64()) for name in POSITION]), "expected lat and lng as numbers, or null", _is_position
)

FIELDS: Mapping[str, MessageField] = {
    "contract": _TEXT,
    "number": _TEXT,
    "name": _TEXT,
    "address": _TEXT,
    "position": _POSITION,
    "banking": _BOOLEAN,
    "bonus": _BOOLEAN,
    "status": _TEXT,
    "capacity": _INTEGER,
    "available_bikes": _INTEGER,
    "available_bike_stands": _INTEGER,
    "last_update": _INTEGER,
    "source": _TEXT,
    "polled_at": _INTEGER,
}
"""All other fields are ignored."""
