"""Finds out why a message cannot be parsed. Never names a value: reasons go into headers and logs."""

import json
from typing import NamedTuple, NoReturn

from privacyplease.ingest.bikes.message_format import FIELDS

__all__ = ["NOT_JSON", "MessageFault", "find_fault"]

_RECORD = "record"  # the field of faults that concern no single field


class MessageFault(NamedTuple):
    """The field at fault, or `record` where it is the message as a whole, and what was expected."""

    field: str
    reason: str


_EMPTY = MessageFault(_RECORD, "expected a station, got an empty message")
_NOT_UTF_8 = MessageFault(_RECORD, "expected UTF-8")
NOT_JSON = MessageFault(_RECORD, "expected JSON")
_NOT_AN_OBJECT = MessageFault(_RECORD, "expected a JSON object")
_REPEATED_FIELD = MessageFault(_RECORD, "expected each field once, got one twice")


class _RepeatedFieldError(ValueError):
    pass


def find_fault(message: bytes) -> MessageFault | None:
    """The first reason why a message cannot be parsed; None if there is none.

    Whether the values make sense is not checked here.
    """
    if not message.strip():
        return _EMPTY
    try:
        document = json.loads(message.decode(), object_pairs_hook=_fields, parse_constant=_refuse)
    except UnicodeDecodeError:
        return _NOT_UTF_8
    except _RepeatedFieldError:
        return _REPEATED_FIELD
    except (ValueError, RecursionError):  # not JSON, an integer of thousands of digits, or nested too deeply
        return NOT_JSON
    return _find_fault_fields(document) if isinstance(document, dict) else _NOT_AN_OBJECT


def _find_fault_fields(document: dict[str, object]) -> MessageFault | None:
    for name, field in FIELDS.items():
        value = document.get(name)
        if value is not None and not field.is_valid(value):
            return MessageFault(name, field.expected)
    return None


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _RepeatedFieldError
    return fields


def _refuse(_name: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON
