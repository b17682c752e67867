"""Uploads a WiFi session log to the proxy, and writes what the parser or the proxy rejects to the reject file."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.client import Ack, Client, IngestSummary
from privacyplease.ingest import wifi
from privacyplease.ingest.parsing import RejectedLine
from privacyplease.ingest.reject_file import RejectFile

__all__ = ["upload_log"]


def upload_log(client: Client, blocks: Iterable[wifi.Block], rejects: RejectFile) -> IngestSummary:
    """Uploads the sessions of a log; reading, sending and storing overlap.

    Args:
        client: Connected to the proxy.
        blocks: The parsed log; at most a few blocks are held at a time.
        rejects: Where rejected records are written. Their order there is only roughly the log's.

    Returns:
        How many records are durable, and how many the parser or the proxy rejected.

    Raises:
        PrivacyPleaseError: The proxy refuses the upload as a whole, or is unavailable for too long.
        IngestError: The log is cut short, or rejects cannot be written. Blocks read before that are durable.
    """
    unacknowledged = _Unacknowledged(rejects)
    accepted = 0
    for ack in client.ingest("wifi", unacknowledged.tables(blocks)):
        accepted += ack.accepted
        unacknowledged.acknowledge(ack)
    return IngestSummary(accepted, unacknowledged.rejected)


@dataclass(frozen=True)
class _SentBlock:
    """A block that was sent, kept to find its records again should the proxy reject some."""

    table: pa.Table
    lines: npt.NDArray[np.int64]


class _Unacknowledged:
    """Blocks sent and not yet acknowledged. The SDK pulls tables in one thread and yields acks in another."""

    def __init__(self, rejects: RejectFile) -> None:
        self._rejects = rejects
        self._lock = Lock()
        self._sent: dict[int, _SentBlock] = {}
        self.rejected = 0

    def tables(self, blocks: Iterable[wifi.Block]) -> Iterator[pa.Table]:
        """The tables of the blocks, numbered from 0 as acknowledgements number them."""
        for number, block in enumerate(blocks):
            self._reject(block.rejects)
            if block.table.num_rows:
                self._sent[number] = _SentBlock(block.table, block.lines)
            yield block.table

    def acknowledge(self, ack: Ack) -> None:
        """Writes what the proxy rejected, and drops a block that is acknowledged as a whole."""
        if ack.rejections:
            self._reject(_rejected_lines(ack, self._sent[ack.batch]))
        if ack.complete:
            del self._sent[ack.batch]

    def _reject(self, rejects: list[RejectedLine]) -> None:
        with self._lock:
            self._rejects.write(rejects)
            self.rejected += len(rejects)


def _rejected_lines(ack: Ack, sent: _SentBlock) -> list[RejectedLine]:
    """The proxy's rejections by line. The raw lines are no longer held: the records are written in the log's format."""
    rows = [rejection.row for rejection in ack.rejections]
    text = io.BytesIO()
    wifi.write([sent.table.take(rows)], text)
    records = text.getvalue().decode().split("\n")[1:]
    return [
        RejectedLine(int(sent.lines[rejection.row]), rejection.field, rejection.reason, record)
        for rejection, record in zip(ack.rejections, records, strict=False)
    ]
