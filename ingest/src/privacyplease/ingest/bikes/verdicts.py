"""What is wrong with a message, asked only where something is. Never says a value: reasons go into headers and logs."""

import json
from typing import NamedTuple, NoReturn

from privacyplease.ingest.bikes.form import FIELDS

__all__ = ["NO_JSON", "Fault", "fault_of"]

_RECORD = "record"  # at fault where it is no single field


class Fault(NamedTuple):
    """The field at fault, or `record` where it is the message as a whole, and what was expected."""

    field: str
    reason: str


_NOTHING = Fault(_RECORD, "expected a station, got an empty message")
_NO_TEXT = Fault(_RECORD, "expected UTF-8")
NO_JSON = Fault(_RECORD, "expected JSON")
_NO_OBJECT = Fault(_RECORD, "expected a JSON object")
_TWICE = Fault(_RECORD, "expected each field once")


class _RepeatedFieldError(ValueError):
    pass


def fault_of(message: bytes) -> Fault | None:
    """The first thing that keeps a message from being read; None if nothing does.

    Whether what can be read makes sense is not asked here.
    """
    if not message.strip():
        return _NOTHING
    try:
        document = json.loads(message.decode(), object_pairs_hook=_fields, parse_constant=_refuse)
    except UnicodeDecodeError:
        return _NO_TEXT
    except _RepeatedFieldError:
        return _TWICE
    except (ValueError, RecursionError):  # no JSON, an integer of thousands of digits, or nested beyond reason
        return NO_JSON
    return _fault_of_fields(document) if isinstance(document, dict) else _NO_OBJECT


def _fault_of_fields(document: dict[str, object]) -> Fault | None:
    for name, field in FIELDS.items():
        value = document.get(name)
        if value is not None and not field.fits(value):
            return Fault(name, field.expected)
    return None


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _RepeatedFieldError
    return fields


def _refuse(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON
