"""What became of the records that were sent.

>>> acks = [Ack(batch=0, rows=2, accepted=1, rejections=(Rejection(1, "mac", "expected a MAC address"),))]
>>> IngestSummary.of(acks)
IngestSummary(accepted=1, rejected=1)
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that was not stored.

    Attributes:
        row: The record's number within its batch, from 0.
        field: The column at fault.
        reason: What is wrong. Never holds the value.
    """

    row: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """An acknowledgement that records are durable. A batch too large for one message gets several.

    Attributes:
        batch: The batch's number in the ingest, from 0.
        rows: How many of its records are acknowledged.
        accepted: How many of them were stored.
        rejections: Those that were not, ascending by row; rows are numbered within the whole batch.
        complete: Whether the whole batch is now acknowledged.
    """

    batch: int
    rows: int
    accepted: int
    rejections: tuple[Rejection, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class IngestSummary:
    """How many records were stored, and how many were not."""

    accepted: int
    rejected: int

    @classmethod
    def of(cls, acks: Iterable[Ack]) -> "IngestSummary":
        """Sums up acknowledgements. Iterating over `client.ingest(…)` itself, it also does the sending."""
        accepted = rejected = 0
        for ack in acks:
            accepted += ack.accepted
            rejected += len(ack.rejections)
        return cls(accepted, rejected)
