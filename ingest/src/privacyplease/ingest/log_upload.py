"""Uploads a WiFi session log to the proxy, and writes what the parser or the proxy rejects to the reject file."""

from collections.abc import Iterable, Iterator
from threading import Lock

import pyarrow as pa

from privacyplease.client import Ack, Client
from privacyplease.ingest import wifi
from privacyplease.ingest.parsing import RejectedLine
from privacyplease.ingest.reject_file import RejectFile

__all__ = ["LogUpload"]


class LogUpload:
    """An upload of the sessions of one log; reading, sending and storing overlap.

    Attributes:
        accepted: How many records are durable by now, also if the upload fails.
    """

    def __init__(self, client: Client, rejects: RejectFile) -> None:
        """Initialises an upload.

        Args:
            client: Connected to the proxy.
            rejects: Where rejected records are written. Their order there is only roughly the log's.
        """
        self._client = client
        self._unacknowledged = _Unacknowledged(rejects)
        self.accepted = 0

    @property
    def rejected(self) -> int:
        """How many records the parser or the proxy has rejected by now."""
        return self._unacknowledged.rejected

    def run(self, blocks: Iterable[wifi.Block]) -> None:
        """Uploads the log.

        Args:
            blocks: The parsed log; at most a few blocks are held at a time.

        Raises:
            PrivacyPleaseError: The proxy refuses the upload as a whole, or is unavailable for too long.
            IngestError: The log is cut short, or rejects cannot be written. Blocks read before that are durable.
        """
        for ack in self._client.ingest("wifi", self._unacknowledged.tables(blocks)):
            self.accepted += ack.accepted
            self._unacknowledged.acknowledge(ack)


class _Unacknowledged:
    """Blocks sent and not yet acknowledged. The SDK pulls tables in one thread and yields acks in another."""

    def __init__(self, rejects: RejectFile) -> None:
        self._rejects = rejects
        self._lock = Lock()
        self._sent: dict[int, wifi.Block] = {}
        self.rejected = 0

    def tables(self, blocks: Iterable[wifi.Block]) -> Iterator[pa.Table]:
        """The tables of the blocks, numbered from 0 as acknowledgements number them."""
        for number, block in enumerate(blocks):
            self._reject(block.rejects)
            if block.table.num_rows:
                self._sent[number] = block
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


def _rejected_lines(ack: Ack, sent: wifi.Block) -> list[RejectedLine]:
    """The proxy's rejections, with the line of each as it was in the log."""
    return [
        RejectedLine(
            int(sent.lines[rejection.row]), rejection.field, rejection.reason, sent.records.line(rejection.row)
        )
        for rejection in ack.rejections
    ]
