# Generated from _internal/aio/ingestion.py by scripts/blocking_client.py; do not edit.
"""Sending records, and sealing those that could not be ingested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from privacyplease.client._internal.ingest import dead_letters
from privacyplease.client._internal.ingest.retry_policy import Retry, for_a_minute
from privacyplease.client.ingestion import Ack

if TYPE_CHECKING:
    from privacyplease.client._internal.blocking.connection import Connection
    from privacyplease.client._internal.ingest.upload import Batches
    from privacyplease.proxy.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub


class IngestionMethods:
    """Ingest and dead letters."""

    _connection: Connection
    _stall_timeout: float

    def ingest(self, dataset: str, batches: Batches, *, retry: Retry = for_a_minute) -> Iterator[Ack]:
        """Sends batches of records; yields an acknowledgement when a batch is durable.

        Nothing is sent until the first acknowledgement is asked for. `batches` is read in a thread of its own, at most
        four messages ahead of the acknowledgements. If the connection is lost, what was not acknowledged is sent again
        once the proxy is back: ingest is idempotent. After a minute without the proxy, the error is raised.

        Args:
            dataset: The data set that the records belong to.
            batches: Tables or record batches of any size, with the column names of the data set's definition.
            retry: Decides how long to try. It gets the error, and the number of errors before it since the last
                acknowledgement, and returns the seconds to wait before the next attempt, or None to raise the error.
        """
        return self._connection.ingest(dataset, batches, self._stall_timeout, retry)

    def seal_letters(self, dataset: str, payloads: Sequence[bytes]) -> list[bytes]:
        """Has the proxy seal messages that could not be ingested, so that they can wait on an untrusted bus.

        Args:
            dataset: The data set that they were meant for.
            payloads: The messages, byte for byte; any number, each of up to 16 MiB.

        Returns:
            A letter for each, in the same order.
        """
        requests = dead_letters.seal_requests(dataset, payloads)
        responses = [self._connection.answer(self._dead_letters.Seal, request) for request in requests]
        return [letter for response in responses for letter in response.letters]

    def open_letters(self, dataset: str, sealed: Sequence[bytes]) -> list[bytes | None]:
        """Has the proxy open letters made by `seal_letters`.

        Returns:
            The payload of each, in the same order; None for a letter that was changed or was sealed for another data
            set, or whose epoch was erased.
        """
        requests = dead_letters.open_requests(dataset, sealed)
        responses = [self._connection.answer(self._dead_letters.Open, request) for request in requests]
        return [payload for response in responses for payload in dead_letters.payloads_of(response)]

    @property
    def _dead_letters(self) -> DeadLetterServiceStub:
        from privacyplease.proxy.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub

        return self._connection.stub(DeadLetterServiceStub)
