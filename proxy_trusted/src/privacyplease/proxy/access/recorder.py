"""What is recorded of each call, and when: once before any part of its answer leaves, and once when the call ends."""

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
from privacyplease.proxy.access.refusal_log import Entry, RefusalLog
from privacyplease.proxy.access.rules import RequestScope
from privacyplease.proxy.audit.fields import bounded
from privacyplease.proxy.audit.log import AuditLog, disk_full
from privacyplease.proxy.errors import AuditUnavailableError, ProxyError
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.proxy.v1 import types_pb2
from privacyplease.proxy.v1.dead_letter_service_pb2 import OpenResponse
from privacyplease.proxy.v1.presence_service_pb2 import FindSessionsResponse

# Texts that callers choose are cut, so that no line grows without bound. A purpose of 500 ASCII characters is whole.
_MOST_NAME_BYTES = 128
_MOST_PURPOSE_BYTES = 2_048


class AnswerRecord:
    """Counts what is sent of an answer, and holds it back until the question is recorded."""

    def __init__(self, wait_recorded: Callable[[], None] | None = None) -> None:
        """Initialises the record.

        Args:
            wait_recorded: Returns once the question is recorded; None if it need not be.
        """
        self._wait_recorded = wait_recorded
        self._bytes = 0
        self._records: int | None = None

    def wait(self) -> None:
        """Waits until the question is recorded.

        Raises:
            AuditUnavailableError: The question cannot be recorded.
        """
        if self._wait_recorded:
            self._wait_recorded()
            self._wait_recorded = None

    def add(self, message: Any) -> None:  # noqa: ANN401  # any message
        """Counts a message that is about to be sent.

        Raises:
            AuditUnavailableError: The question cannot be recorded.
        """
        self.wait()
        self._bytes += message.ByteSize()
        records = _records(message)
        if records is not None:
            self._records = (self._records or 0) + records

    def size(self) -> Entry:
        """What was counted; the number of records only where the messages show it."""
        return {"bytes": self._bytes, **({} if self._records is None else {"records": self._records})}


class AuditRecorder:
    """Writes the audit log's entries about calls."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._refusals = RefusalLog(log)
        self._questions = RefusalLog(log, event="counted", most_single=0)

    def start(self) -> None:
        """Begins to write what is only counted at first."""
        self._refusals.start()
        self._questions.start()

    def stop(self) -> None:
        """Writes what was only counted so far."""
        self._refusals.stop()
        self._questions.stop()

    @contextmanager
    def answering(
        self, rpc: str, caller: Caller, scope: RequestScope | None, context: grpc.ServicerContext, *, act: bool
    ) -> Iterator[AnswerRecord]:
        """Records a question, and then its outcome.

        An administrative act is recorded before it begins; a question while it is being answered, and before any part
        of the answer is sent. A call that is broken off, by the client or by a crash, has no outcome.

        Raises:
            AuditUnavailableError: The question or its outcome cannot be recorded, or the disk is so full that only acts
                are.
        """
        if not act and self._log.full:
            raise disk_full()
        entry = {"call": secrets.token_hex(8), **self._described(rpc, caller, scope)}
        answer = AnswerRecord(partial(self._log.sync, self._log.add({"event": "asked", **entry})))
        if act:
            answer.wait()
        try:
            yield answer
        except Exception as error:
            answer.wait()
            self._failed(entry, error, context)
            raise
        answer.wait()
        self._log.add({"event": "answered", **entry, **answer.size()})

    def counted(self, rpc: str, caller: Caller, scope: RequestScope | None) -> None:
        """Counts a question that needs no line of its own, with others of its kind in that minute."""
        self._questions.record(self._described(rpc, caller, scope))

    def unknown(self, rpc: str, error: ProxyError) -> None:
        """Records the refusal of a caller whose certificate names no client.

        Raises:
            AuditUnavailableError: The refusal cannot be recorded.
        """
        self.refused(rpc, Caller("", ""), None, error)

    def refused(self, rpc: str, caller: Caller, scope: RequestScope | None, error: ProxyError) -> None:
        """Records a refusal, or counts it with others of its kind.

        Raises:
            AuditUnavailableError: The refusal cannot be recorded.
        """
        reason = reasons.ErrorReason.Name(error.reason).removeprefix("ERROR_REASON_")
        self._refusals.record({**self._described(rpc, caller, scope), "reason": reason})

    def _failed(self, entry: Entry, error: Exception, context: grpc.ServicerContext) -> None:
        """Records a failure if possible: the call ends with its own error anyway, and the question is in the log."""
        status = error.status if isinstance(error, ProxyError) else context.code()  # type: ignore[attr-defined]  # the stubs lack it
        try:
            self._log.add({"event": "failed", **entry, "reason": status.name if status else "UNKNOWN"})
        except AuditUnavailableError:
            return

    def _described(self, rpc: str, caller: Caller, scope: RequestScope | None) -> Entry:
        person = bounded(caller.on_behalf_of, _MOST_NAME_BYTES)
        entry: Entry = {"who": caller.name, "for": person, "rpc": rpc.rpartition(".")[2]}
        if scope is not None:
            entry |= {
                "dataset": bounded(scope.dataset, _MOST_NAME_BYTES),
                "subject": self._log.pseudonym(canonical_subject(scope.subject)) if scope.subject else "",
                "purpose": bounded(scope.purpose, _MOST_PURPOSE_BYTES),
                **_interval(scope.interval),
            }
        return {name: value for name, value in entry.items() if value}


def canonical_subject(text: str) -> str:
    """A subject in the form that pseudonyms are computed from: MAC addresses in canonical notation, others as given."""
    return canonical_device(text) or text


def _interval(interval: types_pb2.Interval | None) -> Entry:
    if interval is None:
        return {}
    ends = {"from": interval.start, "to": interval.end}
    return {name: _instant(end.seconds, end.nanos) for name, end in ends.items()}


def _instant(seconds: int, nanos: int) -> str:
    """A time in ISO 8601; "?" if it is out of bounds, which the service refuses."""
    try:
        at = datetime.fromtimestamp(seconds + nanos // 1_000_000 / 1_000, UTC)
    except (OverflowError, ValueError, OSError):
        return "?"
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _records(message: Any) -> int | None:  # noqa: ANN401  # any message
    if isinstance(message, FindSessionsResponse):
        return len(message.sessions.places)
    return len(message.payloads) if isinstance(message, OpenResponse) else None
