"""Uploads batches to the proxy: parses and sends them, and writes rejected messages as dead letters.

submit ──► SDK's feeder thread: parse ──► proxy ──► uploader's thread: done, or ──► dead-letter thread: written, done
"""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from privacyplease.client import Client
from privacyplease.ingest.kafka.consumer.batch import MessageBatch
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches
from privacyplease.ingest.kafka.consumer.parsers import Parser
from privacyplease.ingest.kafka.dead_letters import DeadLetterWriter, UnsealedLetter
from privacyplease.ingest.kafka.service_availability import ServiceAvailability
from privacyplease.ingest.message_upload import MessageUpload
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage

__all__ = ["Uploader"]


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
        rejected: How many messages are in the dead letter topic.
        tombstones: How many messages had no value: they mark a deletion in a compacted topic, and are no records.
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
        self._parse = parse
        self._in_flight = in_flight
        self._dead_letters = dead_letters
        self._stop = stop
        self._submitted: queue.SimpleQueue[MessageBatch | None] = queue.SimpleQueue()  # bounded by `in_flight`
        self._messages = MessageUpload(client, dataset, self._finish, proxy, stop)
        self._dead_letter_thread = ThreadPoolExecutor(1, thread_name_prefix="dead-letters")
        self._thread = threading.Thread(target=self._upload, name="uploader", daemon=True)
        self.rejected = self.tombstones = 0
        self.error: Exception | None = None

    @property
    def stored(self) -> int:
        """How many records are durable."""
        return self._messages.stored

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
            self._messages.run(self._parsed())
        except Exception as error:
            self._fail(error)

    def _parsed(self) -> Iterator[tuple[MessageBatch, ParsedMessages]]:
        while (batch := self._submitted.get()) is not None:
            parsed = self._parse(batch.values)
            rejects = [reject for reject in parsed.rejects if batch.messages[reject.position].value() is not None]
            self.tombstones += len(parsed.rejects) - len(rejects)
            yield batch, parsed._replace(rejects=rejects)

    def _finish(self, batch: MessageBatch, rejects: list[RejectedMessage]) -> None:
        if rejects:
            self._dead_letter_thread.submit(self._write_dead_letters, batch, rejects)
        else:
            self._in_flight.mark_done(batch)

    def _write_dead_letters(self, batch: MessageBatch, rejects: list[RejectedMessage]) -> None:
        try:
            if self._dead_letters.write([UnsealedLetter.of(batch.messages[each.position], each) for each in rejects]):
                self.rejected += len(rejects)
                self._in_flight.mark_done(batch)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._stop.is_set():  # batches abandoned by a stop are read again by the next run
            return
        self.error = error
        self._in_flight.wake()
