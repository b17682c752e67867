"""The proxy's audit log, and whether it is intact."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log; what does not apply is "" or None.

    Attributes:
        number: Its number, from 1.
        at: When it was written.
        event: "asked", then "answered" or "failed"; "refused"; "counted"; "checkpoint", "recovered", "restoring",
            "restored", "policy". A question without an outcome was interrupted.
        who: The name in the caller's certificate.
        on_behalf_of: The person on whose behalf they asked.
        rpc: The rpc, e.g. "PresenceService/FindSessions".
        call: Identifies the call; shared by its entries.
        dataset: The data set that was asked.
        subject: A pseudonym of the subject.
        start: The first instant of the interval in question.
        end: Its last instant.
        purpose: The purpose that was stated.
        reason: Why it failed or was refused, e.g. "PERMISSION_DENIED".
        records: How many records the answer held, if known.
        bytes: The answer's size.
        count: How many refusals the line stands for, if several: repeated ones of a minute are one line.
        first: When the first of them was.
        last: When the last of them was.
    """

    number: int
    at: datetime
    event: str
    who: str
    on_behalf_of: str
    rpc: str
    call: str
    dataset: str
    subject: str
    start: datetime | None
    end: datetime | None
    purpose: str
    reason: str
    records: int | None
    bytes: int | None
    count: int | None = None
    first: datetime | None = None
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """Whether the log is intact.

    Attributes:
        lines: How many lines were read.
        remembered: The number of the last line that the proxy's own store has on record.
        findings: What is wrong, each with file and line; empty if the log is intact.
        first: The number of the first line that was verified; more than 1 if earlier files were archived, or removed.
    """

    lines: int
    remembered: int
    findings: tuple[str, ...]
    first: int = 1
