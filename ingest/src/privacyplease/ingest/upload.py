"""Sends what a reader reads to the proxy, and puts aside what either of them does not take."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.client import Ack, Client, IngestSummary
from privacyplease.ingest import wifi
from privacyplease.ingest.rejects import Reject, RejectFile

__all__ = ["upload"]


def upload(client: Client, blocks: Iterable[wifi.Block], rejects: RejectFile) -> IngestSummary:
    """Sends the sessions of a log; reading, sending and storing overlap.

    Args:
        client: The proxy's.
        blocks: What was read; at most a few blocks are held at a time.
        rejects: Where records go that the reader or the proxy rejects. Their order there is only roughly the log's.

    Returns:
        How many records are durable, and how many were rejected by either.

    Raises:
        PrivacyPleaseError: The proxy refuses the whole, or is away for too long.
        IngestError: The log breaks off, or rejects cannot be kept. What was read before is durable then.
    """
    ledger = _Ledger(rejects)
    accepted = 0
    for ack in client.ingest("wifi", ledger.passing(blocks)):
        accepted += ack.accepted
        ledger.settle(ack)
    return IngestSummary(accepted, ledger.rejected)


@dataclass(frozen=True)
class _Sent:
    """A batch that is on its way: to find its records again, should the proxy reject some."""

    table: pa.Table
    lines: npt.NDArray[np.int64]


class _Ledger:
    """What was sent and not acknowledged. The SDK reads blocks in one thread and gives acknowledgements in another."""

    def __init__(self, rejects: RejectFile) -> None:
        self._rejects = rejects
        self._lock = Lock()
        self._sent: dict[int, _Sent] = {}
        self.rejected = 0

    def passing(self, blocks: Iterable[wifi.Block]) -> Iterator[pa.Table]:
        """The tables of the blocks, numbered from 0 as acknowledgements number them."""
        for number, block in enumerate(blocks):
            self._put_aside(block.rejects)
            if block.table.num_rows:
                self._sent[number] = _Sent(block.table, block.lines)
            yield block.table

    def settle(self, ack: Ack) -> None:
        """Puts aside what the proxy rejected, and forgets a batch that is acknowledged as a whole."""
        if ack.rejections:
            self._put_aside(_rejects_of(ack, self._sent[ack.batch]))
        if ack.complete:
            del self._sent[ack.batch]

    def _put_aside(self, rejects: list[Reject]) -> None:
        with self._lock:
            self._rejects.write(rejects)
            self.rejected += len(rejects)


def _rejects_of(ack: Ack, sent: _Sent) -> list[Reject]:
    """The proxy's rejections by line. Raw lines are gone by now: the records are written as a log has them."""
    rows = [rejection.row for rejection in ack.rejections]
    text = io.BytesIO()
    wifi.write([sent.table.take(rows)], text)
    records = text.getvalue().decode().split("\n")[1:]
    return [
        Reject(int(sent.lines[rejection.row]), rejection.field, rejection.reason, record)
        for rejection, record in zip(ack.rejections, records, strict=False)
    ]
