"""The log: text for people, or a JSON object a line for machines.

A line holds the fields below and no others. What was asked or answered is in none of them; nor is the message of an
exception, which may quote a record. Calls that went well leave no line, for a line a question is a trail of its own.

| field | what |
|---|---|
| time | ISO 8601, UTC |
| level, logger, message | as Python's logging has them |
| rpc, client | of the call during which the line was written; the client's name is that in its certificate |
| code, reason, error_id, duration_ms | of a call that was refused or failed |
| exception | the kind of an unforeseen one, and where it happened |
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TextIO

from privacyplease.proxy.telemetry.calls import Call, running

_CALL_FIELDS = ("rpc", "client", "code", "reason", "error_id", "duration_ms")

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_log = logging.getLogger(__name__)


class LogFormat(StrEnum):
    """How lines look."""

    TEXT = "text"
    JSON = "json"


def configure(log_format: LogFormat) -> None:
    """Sends every logger of this process to stderr, from INFO on."""
    logging.basicConfig(level=logging.INFO, handlers=[handler(sys.stderr, log_format)], force=True)


def handler(stream: TextIO, log_format: LogFormat) -> logging.Handler:
    """What writes lines to a stream."""
    made = logging.StreamHandler(stream)
    made.addFilter(_during)
    made.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
    return made


def refused(call: Call) -> None:
    """Writes down a call that was refused or failed. One that went well leaves no line: metrics count it."""
    if call.failed:
        fields = call.method, call.client, call.code.name, call.reason, call.error_id, round(call.seconds * 1_000, 1)
        _log.warning("call refused", extra=dict(zip(_CALL_FIELDS, fields, strict=True)))


class TextFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """The line, with the fields of a call behind it."""
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        return f"{super().formatMessage(record)} {fields}".rstrip()

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 (the library's name)
        """The kind of an exception and where it happened."""
        return _where(ei)


class JsonFormatter(logging.Formatter):
    """A line for machines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = _where(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _during(record: logging.LogRecord) -> bool:
    """Says in a record during which call it was made."""
    if call := running():
        record.rpc, record.client = call.method, call.client
    return True


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in _CALL_FIELDS if (value := getattr(record, name, "")) != ""}


def _where(raised: _ExceptionInfo) -> str:
    kind, _, trace = raised
    frames = (f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace))
    return f"{kind.__name__ if kind else 'no exception'} at {'; '.join(frames)}"
