"""Uploads batches of parsed messages to the proxy, until each message is durable as a record or rejected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import pyarrow as pa

from privacyplease.client import Ack, Client
from privacyplease.client.errors import PrivacyPleaseError
from privacyplease.ingest.kafka.service_availability import ServiceAvailability
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage
from privacyplease.ingest.standing_errors import StandingErrors

__all__ = ["MessageUpload"]

Batch = TypeVar("Batch")


@dataclass(eq=False)
class _SentBatch(Generic[Batch]):
    """A batch that was sent and is not yet acknowledged as a whole."""

    batch: Batch
    parsed: ParsedMessages
    rejects: list[RejectedMessage]


class MessageUpload(Generic[Batch]):
    """One upload of many batches.

    Args:
        client: Connected to the proxy.
        dataset: The data set that the records belong to.
        finish: Called with each batch and the messages of it that were rejected, by the parser or by the proxy, once
            its records are durable. Any thread may call it.
        proxy: Whether the proxy is available.
        stop: Once set, nothing is retried.

    Attributes:
        stored: How many records are durable.
    """

    def __init__(
        self,
        client: Client,
        dataset: str,
        finish: Callable[[Batch, list[RejectedMessage]], None],
        proxy: ServiceAvailability,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._finish = finish
        self._proxy = proxy
        self._stop = stop
        self._standing = StandingErrors()
        self._sent: dict[int, _SentBatch[Batch]] = {}
        self.stored = 0

    def run(self, batches: Iterable[tuple[Batch, ParsedMessages]]) -> None:
        """Sends batches and waits until all are finished; reads them in a thread of the SDK.

        While the proxy is unavailable it retries until stopped.

        Raises:
            RequestError: The proxy refuses the records as a whole.
            RefusedError: The policy does not allow it.
            CertificateError: The proxy does not accept the certificate.
            PrivacyPleaseError: The last attempt before it was stopped has failed.
        """
        for ack in self._client.ingest(self._dataset, self._tables(batches), retry=self._retry_delay):
            self._proxy.succeeded()
            self._standing.succeeded()
            self._acknowledge(ack)

    def _tables(self, batches: Iterable[tuple[Batch, ParsedMessages]]) -> Iterator[pa.Table]:
        """The tables of the batches, numbered from 0 as acknowledgements number them."""
        number = 0
        for batch, parsed in batches:
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
            self._finish(sent.batch, sorted(sent.rejects))

    def _retry_delay(self, error: PrivacyPleaseError, failures: int) -> float | None:
        """Retries every error that may pass."""
        if self._stop.is_set() or self._standing.is_standing(error):
            return None
        return self._proxy.failed(type(error).__name__)
