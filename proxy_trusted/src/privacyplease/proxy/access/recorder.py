"""What of each call goes to the audit log, and when: before anything of its answer leaves, and when that has ended."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc

from privacyplease.proxy.access.caller import Caller
from privacyplease.proxy.access.policy import canonical_device
from privacyplease.proxy.access.rules import Asked
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.edge.requests import MOST_CHARACTERS
from privacyplease.proxy.errors import AuditUnavailableError, ProxyError
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.proxy.v1 import types_pb2
from privacyplease.proxy.v1.dead_letter_service_pb2 import OpenResponse
from privacyplease.proxy.v1.presence_service_pb2 import FindSessionsResponse

Entry = dict[str, object]

# Of texts that callers choose, so that no line grows without bound.
_MOST_NAME_CHARACTERS = 64


class Answer:
    """Counts what leaves, and lets nothing leave before the question is on record."""

    def __init__(self, recorded: Callable[[], None] | None = None) -> None:
        """Takes what returns once the question is on record; None if it is not to be."""
        self._recorded = recorded
        self._bytes = 0
        self._records: int | None = None

    def wait(self) -> None:
        """Waits until the question is on record.

        Raises:
            AuditUnavailableError: It cannot be recorded.
        """
        if self._recorded:
            self._recorded()
            self._recorded = None

    def add(self, message: Any) -> None:  # noqa: ANN401  # any message
        """Counts a message that is about to leave.

        Raises:
            AuditUnavailableError: The question cannot be recorded.
        """
        self.wait()
        self._bytes += message.ByteSize()
        records = _records(message)
        if records is not None:
            self._records = (self._records or 0) + records

    def size(self) -> Entry:
        """What was counted; the number of records only where messages tell."""
        return {"bytes": self._bytes, **({} if self._records is None else {"records": self._records})}


class Recorder:
    """Writes the entries of calls."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    @contextmanager
    def answering(
        self, rpc: str, caller: Caller, asked: Asked | None, context: grpc.ServicerContext, *, act: bool
    ) -> Iterator[Answer]:
        """Records that a question is asked, and then what became of it.

        An act is recorded before it begins. A question is while its answer is looked for, and before any of it leaves.
        One that is broken off, by the client or by a crash, has no outcome.

        Raises:
            AuditUnavailableError: It cannot be recorded.
        """
        entry = {"call": secrets.token_hex(8), **self._described(rpc, caller, asked)}
        answer = Answer(partial(self._log.sync, self._log.add({"event": "asked", **entry})))
        if act:
            answer.wait()
        try:
            yield answer
        except Exception:
            answer.wait()
            self._failed(entry, context)
            raise
        answer.wait()
        self._log.add({"event": "answered", **entry, **answer.size()})

    def unknown(self, rpc: str, error: ProxyError) -> None:
        """Records that somebody was refused whose certificate names no client.

        Raises:
            AuditUnavailableError: It cannot be recorded.
        """
        self.refused(rpc, Caller("", ""), None, error)

    def refused(self, rpc: str, caller: Caller, asked: Asked | None, error: ProxyError) -> None:
        """Records a refusal.

        Raises:
            AuditUnavailableError: It cannot be recorded.
        """
        reason = reasons.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")
        self._log.record({"event": "refused", **self._described(rpc, caller, asked), "reason": reason})

    def _failed(self, entry: Entry, context: grpc.ServicerContext) -> None:
        """The call ends with its own error, recorded or not: that it was asked is in the log."""
        status = context.code()  # type: ignore[attr-defined]  # the stubs lack it
        try:
            self._log.add({"event": "failed", **entry, "reason": status.name if status else "UNKNOWN"})
        except AuditUnavailableError:
            return

    def _described(self, rpc: str, caller: Caller, asked: Asked | None) -> Entry:
        entry: Entry = {"who": caller.name, "for": caller.on_behalf_of, "rpc": rpc.rpartition(".")[2]}
        if asked is not None:
            entry |= {
                "dataset": asked.dataset[:_MOST_NAME_CHARACTERS],
                "subject": self._log.pseudonym(canonical_subject(asked.subject)) if asked.subject else "",
                "purpose": asked.purpose[:MOST_CHARACTERS],
                **_interval(asked.interval),
            }
        return {name: value for name, value in entry.items() if value}


def canonical_subject(text: str) -> str:
    """A subject as the log's pseudonyms are made of: a MAC address in canonical notation, anything else as it is."""
    return canonical_device(text) or text


def _interval(interval: types_pb2.Interval | None) -> Entry:
    if interval is None:
        return {}
    ends = {"from": interval.start, "to": interval.end}
    return {name: _instant(end.seconds, end.nanos) for name, end in ends.items()}


def _instant(seconds: int, nanos: int) -> str:
    """In ISO 8601; what is out of bounds, which the service refuses, is "?"."""
    try:
        at = datetime.fromtimestamp(seconds + nanos // 1_000_000 / 1_000, UTC)
    except (OverflowError, ValueError, OSError):
        return "?"
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _records(message: Any) -> int | None:  # noqa: ANN401  # any message
    if isinstance(message, FindSessionsResponse):
        return len(message.sessions.places)
    return len(message.payloads) if isinstance(message, OpenResponse) else None
