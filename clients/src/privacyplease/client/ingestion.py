"""What became of records that were sent in.

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
        row: Which record of its batch, counted from 0.
        field: The column at fault.
        reason: What is wrong. Never holds the value.
    """

    row: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Records that are durable now. A batch too large for one message gets several.

    Attributes:
        batch: Which of the batches given to `ingest`, counted from 0.
        rows: How many of its records this acknowledgement is about.
        accepted: How many of them are stored.
        rejections: Those that are not, ascending by row; rows are counted within the whole batch.
        complete: Whether all of the batch is acknowledged now.
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
        """Adds up acknowledgements. Given `client.ingest(…)` itself, it also does the sending."""
        accepted = rejected = 0
        for ack in acks:
            accepted += ack.accepted
            rejected += len(ack.rejections)
        return cls(accepted, rejected)
