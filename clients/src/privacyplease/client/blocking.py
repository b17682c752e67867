"""The client for ordinary code, one call at a time. Safe to share between threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from privacyplease.client._internal import answers, requests
from privacyplease.client._internal.channel import open_blocking
from privacyplease.client._internal.statuses import translated
from privacyplease.client._internal.timeouts import QUERY_S, STALL_S
from privacyplease.client.catalogue import Dataset, Status
from privacyplease.client.ingestion import Ack
from privacyplease.client.occupancy import Occupancy, Peak, PlaceCounts
from privacyplease.client.presence import Presence
from privacyplease.client.records import Records
from privacyplease.proxy.v1.admin_service_pb2 import GetStatusRequest
from privacyplease.proxy.v1.admin_service_pb2_grpc import AdminServiceStub
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from privacyplease.proxy.v1.occupancy_service_pb2_grpc import OccupancyServiceStub
from privacyplease.proxy.v1.presence_service_pb2_grpc import PresenceServiceStub
from privacyplease.proxy.v1.query_service_pb2 import ListDatasetsRequest, QueryResponse
from privacyplease.proxy.v1.query_service_pb2_grpc import QueryServiceStub

if TYPE_CHECKING:
    import grpc
    import pyarrow as pa

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class Client:
    """Asks a proxy, and sends records to it.

    Intervals are closed: a session [s, e] is in [start, end] when s <= end and e >= start. Times are datetimes with a
    time zone, kept to the millisecond; those without raise `ValueError`. Everything else that goes wrong raises a
    `PrivacyPleaseError`. Questions are tried again by themselves while the proxy is unreachable, for a second or so.

    Args:
        address: The proxy's host:port.
        timeout: Seconds until a question gives up; None means never.
        stall_timeout: Seconds that an ingest waits for an acknowledgement before it gives up.
    """

    def __init__(self, address: str, *, timeout: float | None = QUERY_S, stall_timeout: float = STALL_S) -> None:
        self._channel = open_blocking(address)
        self._timeout = timeout
        self._stall_timeout = stall_timeout
        self._presence = PresenceServiceStub(self._channel)
        self._occupancy = OccupancyServiceStub(self._channel)
        self._query = QueryServiceStub(self._channel)
        self._ingest = IngestServiceStub(self._channel)
        self._admin = AdminServiceStub(self._channel)

    def presence(
        self,
        device: str,
        start: datetime,
        end: datetime,
        *,
        place: str | None = None,
        dataset: str = "wifi",
        purpose: str = "",
    ) -> Presence:
        """Where a device was, and when.

        Args:
            device: A MAC address in any notation.
            start: The first instant.
            end: The last instant.
            place: Only sessions at this place.
            dataset: The data set to ask.
            purpose: Why the question is asked, for the audit log; up to 500 characters.
        """
        request = requests.presence(dataset, device, start, end, place, purpose)
        return answers.presence(self._pages(self._presence.FindSessions, request))

    def count(self, start: datetime, end: datetime, *, place: str | None = None, dataset: str = "wifi") -> int:
        """How many distinct devices there were, at a place or anywhere."""
        request = requests.count(dataset, start, end, place)
        return self._answer(self._occupancy.Count, request).distinct_devices

    def count_by_place(self, start: datetime, end: datetime, *, dataset: str = "wifi") -> PlaceCounts:
        """How many distinct devices there were at each place."""
        request = requests.count_by_place(dataset, start, end)
        return answers.place_counts(self._pages(self._occupancy.CountByPlace, request))

    def occupancy(
        self, start: datetime, end: datetime, step: timedelta, *, place: str | None = None, dataset: str = "wifi"
    ) -> Occupancy:
        """How many distinct devices there were in each step of the interval, and when the most."""
        request = requests.series(dataset, start, end, step, place)
        return answers.occupancy(self._pages(self._occupancy.Series, request), step)

    def peak(
        self, start: datetime, end: datetime, step: timedelta, *, place: str | None = None, dataset: str = "wifi"
    ) -> Peak:
        """The step with the most distinct devices, as `occupancy` finds it, without the series."""
        request = requests.peak(dataset, start, end, step, place)
        return answers.peak(self._answer(self._occupancy.Peak, request).peak)

    def query(
        self,
        dataset: str,
        index: str,
        start: datetime,
        end: datetime,
        key: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> Records:
        """Whole records of any data set. The question is sent now; its errors come with reading.

        Args:
            dataset: The data set to ask.
            index: "subject" or "place".
            start: The first instant.
            end: The last instant.
            key: Only records of this subject, or at this place, as the index says.
            columns: The columns wanted, in this order; all that the index carries if None.
        """
        request = requests.query(dataset, index, start, end, key, columns)
        return Records(self._arrow_pages(self._query.Query(request, timeout=self._timeout)))

    def ingest(self, dataset: str, batches: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[Ack]:
        """Sends batches of records; yields an acknowledgement when a batch is durable.

        Nothing is sent before the first acknowledgement is asked for. `batches` is read in a thread of its own, at most
        four messages ahead of the acknowledgements. If the proxy goes away, what it did not acknowledge is sent again
        when it is back: ingest is idempotent. After a minute without it, the error is raised.

        Args:
            dataset: The data set that the records belong to.
            batches: Tables or record batches of any size; columns are named as in the data set's definition.
        """
        from privacyplease.client._internal.upload import Upload

        with translated():
            yield from Upload(self._ingest.Ingest, dataset, batches, self._stall_timeout).acks()

    def datasets(self) -> tuple[Dataset, ...]:
        """All data sets, ascending by name."""
        return answers.datasets(self._answer(self._query.ListDatasets, ListDatasetsRequest()))

    def status(self) -> Status:
        """How the system is doing. Answers even if the storage server is away, and says so."""
        return answers.status(self._answer(self._admin.GetStatus, GetStatusRequest()))

    def close(self) -> None:
        """Closes the channel; what still runs on it fails."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request) -> _Response:
        with translated():
            return method(request, timeout=self._timeout)

    def _pages(self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request) -> list[_Response]:
        with translated():
            return list(method(request, timeout=self._timeout))

    def _arrow_pages(self, call: grpc.CallIterator[QueryResponse]) -> Iterator[bytes]:
        try:
            with translated():
                for page in call:
                    yield page.arrow
        finally:
            call.cancel()  # type: ignore[no-untyped-call]
