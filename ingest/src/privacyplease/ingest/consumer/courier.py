"""Brings batches to the proxy: reads them, sends them, and has posted as dead letters what is no record.

take ──► SDK's feeder thread: parse ──► proxy ──► courier's thread: landed, or ──► letters' thread: posted, landed
"""

import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

from privacyplease.client import Ack, Client
from privacyplease.client.errors import PrivacyPleaseError, RequestError
from privacyplease.ingest.consumer.batch import Batch
from privacyplease.ingest.consumer.flight import Flight
from privacyplease.ingest.consumer.parsers import Parser
from privacyplease.ingest.dead_letters import Post
from privacyplease.ingest.link import Link
from privacyplease.ingest.parsed import Misfit, Parsed

__all__ = ["Courier"]


@dataclass(eq=False)
class _Sent:
    """A batch that was sent and is not acknowledged as a whole."""

    batch: Batch
    parsed: Parsed
    misfits: list[Misfit] = field(default_factory=list)


class Courier:
    """Carries batches from `take` until they have landed.

    Args:
        client: The proxy's.
        dataset: What the records belong to.
        parse: Reads messages.
        flight: Told which batches have landed.
        post: Posts dead letters.
        proxy: Told whether the proxy answers.
        stop: When it is set, the proxy is not tried again.

    Attributes:
        stored: How many records are durable.
        rejected: How many messages lie in the dead letter topic.
        error: What ended it, if it cannot go on.
    """

    def __init__(
        self,
        client: Client,
        dataset: str,
        parse: Parser,
        flight: Flight,
        post: Post,
        proxy: Link,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._parse = parse
        self._flight = flight
        self._post = post
        self._proxy = proxy
        self._stop = stop
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()  # bounded, as the flight is
        self._sent: dict[int, _Sent] = {}
        self._letters = ThreadPoolExecutor(1, thread_name_prefix="letters")
        self._thread = threading.Thread(target=self._carry, name="courier", daemon=True)
        self.stored = 0
        self.rejected = 0
        self.error: Exception | None = None

    def start(self) -> None:
        """Starts its threads."""
        self._thread.start()

    def take(self, batch: Batch) -> None:
        """Takes a batch on its way."""
        self._inbox.put(batch)

    def end(self) -> None:
        """No batch will follow; those taken still land."""
        self._inbox.put(None)

    def _carry(self) -> None:
        try:
            for ack in self._client.ingest(self._dataset, self._tables(), retry=self._retry):
                self._proxy.answered()
                self._settle(ack)
        except Exception as error:
            self._fail(error)

    def _tables(self) -> Iterator[pa.Table]:
        """The tables of the batches, numbered from 0 as acknowledgements number them."""
        number = 0
        while (batch := self._inbox.get()) is not None:
            parsed = self._parse(batch.values)
            if parsed.table.num_rows:
                self._sent[number] = _Sent(batch, parsed, parsed.rejects)
                number += 1
                yield parsed.table
            else:
                self._land(batch, parsed.rejects)

    def _settle(self, ack: Ack) -> None:
        sent = self._sent[ack.batch]
        self.stored += ack.accepted
        sent.misfits += [Misfit(int(sent.parsed.rows[each.row]), each.field, each.reason) for each in ack.rejections]
        if ack.complete:
            del self._sent[ack.batch]
            self._land(sent.batch, sent.misfits)

    def _land(self, batch: Batch, misfits: list[Misfit]) -> None:
        if misfits:
            self._letters.submit(self._bury, batch, misfits)
        else:
            self._flight.landed(batch)

    def _bury(self, batch: Batch, misfits: list[Misfit]) -> None:
        try:
            if self._post.post(batch.messages, misfits):
                self.rejected += len(misfits)
                self._flight.landed(batch)
        except Exception as error:
            self._fail(error)

    def _retry(self, error: PrivacyPleaseError, failures: int) -> float | None:
        """Tries again for ever what may come to work: whatever is not the request's own fault."""
        if isinstance(error, RequestError) or self._stop.is_set():
            return None
        return self._proxy.failed(type(error).__name__)

    def _fail(self, error: Exception) -> None:
        if self._stop.is_set():  # what is left behind on purpose is read again, and fails nobody
            return
        self.error = error
        self._flight.wake()
