"""What the proxy's audit log says, and what it is worth."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit log; what does not apply is "" or None.

    Attributes:
        number: Its number, from 1 on.
        at: When it was written.
        event: "asked", then "answered" or "failed"; "refused"; "recovered", "restored". A question without an
            outcome was broken off.
        who: The name in the caller's certificate.
        on_behalf_of: For whom they asked.
        rpc: Which rpc, as "PresenceService/FindSessions".
        call: What entries of one call have in common.
        dataset: The data set that was asked.
        subject: A pseudonym of the subject.
        start: The first instant that was asked about.
        end: The last instant.
        purpose: The purpose that was stated.
        reason: Why it failed or was refused, as "PERMISSION_DENIED".
        records: How many records the answer held, where that is known.
        bytes: The answer's size.
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


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What the log is worth.

    Attributes:
        lines: How many were read.
        remembered: The number of the last line that the proxy's own store remembers.
        findings: What is wrong, each with file and line; nothing if the log is whole.
    """

    lines: int
    remembered: int
    findings: tuple[str, ...]
