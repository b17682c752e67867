"""Whole records, and the data sets they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import answers, requests
from privacyplease.client.catalogue import Dataset
from privacyplease.client.records import AsyncRecords, RecordPage
from privacyplease.proxy.v1.query_service_pb2 import ListDatasetsRequest

if TYPE_CHECKING:
    from privacyplease.client._internal.aio.connection import AsyncConnection
    from privacyplease.proxy.v1.query_service_pb2_grpc import QueryServiceAsyncStub


class AsyncRecordMethods:
    """Questions for whole records."""

    _connection: AsyncConnection

    def query(
        self,
        dataset: str,
        start: datetime,
        end: datetime,
        *,
        subject: str | None = None,
        place: str | None = None,
        columns: Sequence[str] | None = None,
        purpose: str = "",
    ) -> AsyncRecords:
        """Whole records of any data set. The question is sent at once; errors are raised while reading the records.

        >>> records = client.query("wifi", *day, place="ap-01-5", columns=["client_mac"], purpose="planning")
        >>> frame = await records.to_polars()
        >>> frame["client_mac"].n_unique()
        288

        Args:
            dataset: The data set to ask.
            start: The first instant.
            end: The last instant.
            subject: Only records of this subject; of every subject if None.
            place: Only records at this place; anywhere if None.
            columns: The columns wanted, in this order; all if None.
            purpose: As for `presence`; not needed for data sets that are not about people.
        """
        request = requests.query(dataset, start, end, subject=subject, place=place, columns=columns, purpose=purpose)
        responses = self._connection.stream(self._records.Query, request)
        return AsyncRecords(RecordPage(response.arrow, response.records) async for response in responses)

    async def datasets(self) -> tuple[Dataset, ...]:
        """All data sets, ascending by name."""
        return answers.datasets(await self._connection.answer(self._records.ListDatasets, ListDatasetsRequest()))

    @property
    def _records(self) -> QueryServiceAsyncStub:
        from privacyplease.proxy.v1.query_service_pb2_grpc import QueryServiceStub

        return self._connection.stub(QueryServiceStub)
