"""The log: text for people, or one JSON object per line for machines.

A line has the fields below and no others. None of them holds what was asked, answered or stored, nor the message of an
exception, which may quote a record or a statement. Successful calls leave no line: one per question would be a trail of
its own.

| field | what |
|---|---|
| time | ISO 8601, UTC |
| level, logger, message | as Python's logging defines them |
| rpc, client | of the call during which the line was written; the client's name is the one in its certificate |
| code, reason, error_id, duration_ms | of a call that was refused or failed |
| exception | the type of an unexpected exception, and where it was raised |
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

from privacyplease.transport.call_log import CALL_FIELDS, running

_ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LogFormat(StrEnum):
    """How lines are formatted."""

    TEXT = "text"
    JSON = "json"


def configure(log_format: LogFormat) -> None:
    """Sends every logger of this process to stderr, from level INFO."""
    logging.basicConfig(level=logging.INFO, handlers=[handler(sys.stderr, log_format)], force=True)


def handler(stream: TextIO, log_format: LogFormat) -> logging.Handler:
    """A handler that writes lines to a stream."""
    lines = logging.StreamHandler(stream)
    lines.addFilter(_add_call)
    lines.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
    return lines


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the library's name)
        """The line, followed by the fields of the call."""
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        return f"{super().formatMessage(record)} {fields}".rstrip()

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802 (the library's name)
        """The type of an exception and where it was raised."""
        return _exception(ei)


class JsonFormatter(logging.Formatter):
    """Lines for machines."""

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
            line["exception"] = _exception(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def where_raised(trace: TracebackType | None) -> str:
    """File, line and function of each frame of a traceback; no source line and no value."""
    return "; ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace))


def _add_call(record: logging.LogRecord) -> bool:
    """Adds the running call to a record, and lets every record pass."""
    if call := running():
        record.rpc, record.client = call.method, call.client
    return True


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in CALL_FIELDS if (value := getattr(record, name, "")) != ""}


def _exception(raised: _ExceptionInfo) -> str:
    kind, _, trace = raised
    return f"{kind.__name__ if kind else 'no exception'} at {where_raised(trace)}"
