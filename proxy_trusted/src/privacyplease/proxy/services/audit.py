"""AuditService: the audit log's entries, and whether the log is intact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.access.recorder import canonical_subject
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering, streaming
from privacyplease.proxy.records.timeline import EARLIEST, LATEST
from privacyplease.proxy.v1 import audit_service_pb2 as pb
from privacyplease.proxy.v1 import audit_service_pb2_grpc as pb_grpc
from privacyplease.proxy.v1 import types_pb2

ENTRIES_PER_PAGE = 512
MOST_FINDINGS = 1_000

Entry = Mapping[str, Any]


class AuditService(pb_grpc.AuditServiceServicer):
    """Reads and verifies the audit log."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    @streaming
    def ListEntries(  # noqa: N802
        self, request: pb.ListEntriesRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ListEntriesResponse]:
        """Streams the matching entries, oldest first and unverified, in pages."""
        page = pb.ListEntriesResponse()
        for entry in self._matching(request):
            page.entries.append(entry)
            if len(page.entries) == ENTRIES_PER_PAGE:
                yield page
                page = pb.ListEntriesResponse()
        if page.entries:
            yield page

    @answering
    def VerifyLog(  # noqa: N802
        self, _request: pb.VerifyLogRequest, _context: grpc.ServicerContext
    ) -> pb.VerifyLogResponse:
        """Verifies every line against the one before it, and the last against the anchor."""
        remembered, verdict = self._log.remembered().number, self._log.verify()
        return pb.VerifyLogResponse(
            lines=verdict.lines,
            first=verdict.first,
            remembered=remembered,
            findings=verdict.findings[:MOST_FINDINGS],
        )

    def _matching(self, request: pb.ListEntriesRequest) -> Iterator[pb.AuditEntry]:
        since = requests.instant(getattr(request, "from"), "from") if request.HasField("from") else EARLIEST
        until = requests.instant(request.to, "to") if request.HasField("to") else LATEST
        who, rpc = requests.short(request.who, "who"), requests.short(request.rpc, "rpc")
        device = requests.recordable(request.device, "device")
        subject = self._log.pseudonym(canonical_subject(device)) if device else ""
        for entry in filter(None, map(readable, self._log.entries())):
            first, last = (entry.first, entry.last) if entry.HasField("first") else (entry.at, entry.at)
            if (
                since <= last.ToMilliseconds()
                and first.ToMilliseconds() <= until
                and who in ("", entry.who, entry.on_behalf_of)
                and rpc in ("", entry.rpc, entry.rpc.partition("/")[0])
                and subject in ("", entry.subject)
            ):
                yield entry


def readable(entry: Entry) -> pb.AuditEntry | None:
    """An entry as a message; None if it was edited so that it has no such form, which VerifyLog reports."""
    try:
        return _message(entry)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def _message(entry: Entry) -> pb.AuditEntry:
    message = pb.AuditEntry(
        number=entry["n"],
        at=_timestamp(entry["at"]),
        event=entry["event"],
        who=entry.get("who", ""),
        on_behalf_of=entry.get("for", ""),
        rpc=entry.get("rpc", ""),
        call=entry.get("call", ""),
        dataset=entry.get("dataset", ""),
        subject=entry.get("subject", ""),
        purpose=entry.get("purpose", ""),
        reason=entry.get("reason", ""),
        records=entry.get("records"),
        bytes=entry.get("bytes"),
        count=entry.get("count"),
        first=_timestamp(entry["first"]) if "first" in entry else None,
        last=_timestamp(entry["last"]) if "last" in entry else None,
    )
    if {"from", "to"} <= entry.keys() and "?" not in (entry["from"], entry["to"]):
        ends = (_timestamp(entry["from"]), _timestamp(entry["to"]))
        message.interval.CopyFrom(types_pb2.Interval(start=ends[0], end=ends[1]))
    return message


def _timestamp(text: str) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(_millis(text))
    return stamp


def _millis(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)
