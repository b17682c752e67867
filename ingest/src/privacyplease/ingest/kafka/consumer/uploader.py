"""Uploads batches to the proxy: parses and sends them, and writes rejected messages as dead letters.

submit ──► SDK's feeder thread: parse ──► proxy ──► uploader's thread: done, or ──► dead-letter thread: written, done
"""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from privacyplease.client import Ack, Client
from privacyplease.client.errors import PrivacyPleaseError, RequestError
from privacyplease.ingest.kafka.consumer.batch import MessageBatch
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches
from privacyplease.ingest.kafka.consumer.parsers import Parser
from privacyplease.ingest.kafka.dead_letters import DeadLetterWriter
from privacyplease.ingest.kafka.service_availability import ServiceAvailability
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage

__all__ = ["Uploader"]


@dataclass(eq=False)
class _SentBatch:
    """A batch that was sent and is not yet acknowledged as a whole."""

    batch: MessageBatch
    parsed: ParsedMessages
    rejects: list[RejectedMessage] = field(default_factory=list)


class Uploader:
    """Uploads batches until each of their messages is durable.

    Args:
        client: Connected to the proxy.
        dataset: The data set that the records belong to.
        parse: Parses messages.
        in_flight: Where batches are marked as done.
        dead_letters: Writes rejected messages.
        proxy: Whether the proxy is available.
        stop: Once set, nothing is retried.

    Attributes:
        stored: How many records are durable.
        rejected: How many messages are in the dead letter topic.
        error: What ended the upload, if it has failed for good.
    """

    def __init__(
        self,
        client: Client,
        dataset: str,
        parse: Parser,
        in_flight: InFlightBatches,
        dead_letters: DeadLetterWriter,
        proxy: ServiceAvailability,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._parse = parse
        self._in_flight = in_flight
        self._dead_letters = dead_letters
        self._proxy = proxy
        self._stop = stop
        self._submitted: queue.SimpleQueue[MessageBatch | None] = queue.SimpleQueue()  # bounded by `in_flight`
        self._sent: dict[int, _SentBatch] = {}
        self._dead_letter_thread = ThreadPoolExecutor(1, thread_name_prefix="dead-letters")
        self._thread = threading.Thread(target=self._upload, name="uploader", daemon=True)
        self.stored = 0
        self.rejected = 0
        self.error: Exception | None = None

    def start(self) -> None:
        """Starts its threads."""
        self._thread.start()

    def submit(self, batch: MessageBatch) -> None:
        """Queues a batch for upload."""
        self._submitted.put(batch)

    def close(self) -> None:
        """Accepts no more batches; those submitted are still uploaded."""
        self._submitted.put(None)

    def _upload(self) -> None:
        try:
            for ack in self._client.ingest(self._dataset, self._tables(), retry=self._retry_delay):
                self._proxy.succeeded()
                self._acknowledge(ack)
        except Exception as error:
            self._fail(error)

    def _tables(self) -> Iterator[pa.Table]:
        """The tables of the batches, numbered from 0 as acknowledgements number them."""
        number = 0
        while (batch := self._submitted.get()) is not None:
            parsed = self._parse(batch.values)
            if parsed.table.num_rows:
                self._sent[number] = _SentBatch(batch, parsed, parsed.rejects)
                number += 1
                yield parsed.table
            else:
                self._finish(batch, parsed.rejects)

    def _acknowledge(self, ack: Ack) -> None:
        sent = self._sent[ack.batch]
        self.stored += ack.accepted
        sent.rejects += [
            RejectedMessage(int(sent.parsed.rows[rejection.row]), rejection.field, rejection.reason)
            for rejection in ack.rejections
        ]
        if ack.complete:
            del self._sent[ack.batch]
            self._finish(sent.batch, sent.rejects)

    def _finish(self, batch: MessageBatch, rejects: list[RejectedMessage]) -> None:
        if rejects:
            self._dead_letter_thread.submit(self._write_dead_letters, batch, rejects)
        else:
            self._in_flight.mark_done(batch)

    def _write_dead_letters(self, batch: MessageBatch, rejects: list[RejectedMessage]) -> None:
        try:
            if self._dead_letters.write(batch.messages, rejects):
                self.rejected += len(rejects)
                self._in_flight.mark_done(batch)
        except Exception as error:
            self._fail(error)

    def _retry_delay(self, error: PrivacyPleaseError, failures: int) -> float | None:
        """Retries every error except those that the request itself causes."""
        if isinstance(error, RequestError) or self._stop.is_set():
            return None
        return self._proxy.failed(type(error).__name__)

    def _fail(self, error: Exception) -> None:
        if self._stop.is_set():  # batches abandoned by a stop are read again by the next run
            return
        self.error = error
        self._in_flight.wake()
