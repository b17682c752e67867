"""The client for asyncio: the methods of `Client`, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from privacyplease.client._internal import answers, letters, requests, system
from privacyplease.client._internal import keys as life_of_keys
from privacyplease.client._internal.behalf import Metadata, on_behalf_of
from privacyplease.client._internal.link import link_async, link_blocking
from privacyplease.client._internal.patience import Retry, for_a_minute
from privacyplease.client._internal.requests import Where
from privacyplease.client._internal.statuses import translated
from privacyplease.client._internal.timeouts import QUERY_S, STALL_S
from privacyplease.client.audit import AuditEntry, AuditVerdict
from privacyplease.client.catalogue import Access, Dataset, Status
from privacyplease.client.compaction import Compacted
from privacyplease.client.explanation import Explanation
from privacyplease.client.ingestion import Ack
from privacyplease.client.keys import Destroyed, ExportedKeyring, Keys, Renewed
from privacyplease.client.occupancy import Count, Dwell, Occupancy, Peak, PlaceCounts, Places
from privacyplease.client.presence import Presence
from privacyplease.client.records import AsyncRecords, Page
from privacyplease.client.stations import Availability, StationStates
from privacyplease.client.verification import Verification, VerificationProgress
from privacyplease.proxy.v1.access_service_pb2 import WhoAmIRequest
from privacyplease.proxy.v1.access_service_pb2_grpc import AccessServiceStub
from privacyplease.proxy.v1.admin_service_pb2 import GetStatusRequest
from privacyplease.proxy.v1.admin_service_pb2_grpc import AdminServiceStub
from privacyplease.proxy.v1.audit_service_pb2 import VerifyLogRequest
from privacyplease.proxy.v1.audit_service_pb2_grpc import AuditServiceStub
from privacyplease.proxy.v1.compaction_service_pb2_grpc import CompactionServiceStub
from privacyplease.proxy.v1.dead_letter_service_pb2_grpc import DeadLetterServiceStub
from privacyplease.proxy.v1.explain_service_pb2_grpc import ExplainServiceStub
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub
from privacyplease.proxy.v1.keys_service_pb2 import ListKeysRequest, RotateMasterRequest
from privacyplease.proxy.v1.keys_service_pb2_grpc import KeysServiceStub
from privacyplease.proxy.v1.occupancy_service_pb2_grpc import OccupancyServiceStub
from privacyplease.proxy.v1.presence_service_pb2_grpc import PresenceServiceStub
from privacyplease.proxy.v1.query_service_pb2 import ListDatasetsRequest, QueryRequest, QueryResponse
from privacyplease.proxy.v1.query_service_pb2_grpc import QueryServiceStub
from privacyplease.proxy.v1.stations_service_pb2_grpc import StationsServiceStub
from privacyplease.proxy.v1.verification_service_pb2_grpc import VerificationServiceStub

if TYPE_CHECKING:
    import grpc.aio
    import pyarrow as pa

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class AsyncClient:
    """As `Client`, for one event loop: create, use and close it there.

    Args:
        address: The proxy's host:port.
        certificates: The folder with the client's `tls.crt` and `tls.key`, and `ca.crt`, the CA of the proxy. They are
            read again when they change.
        insecure: Instead: plaintext, to a proxy on this machine alone.
        timeout: Seconds until a question gives up; None means never.
        stall_timeout: Seconds that an ingest waits for an acknowledgement before it gives up.
    """

    def __init__(
        self,
        address: str,
        *,
        certificates: Path | str | None = None,
        insecure: bool = False,
        timeout: float | None = QUERY_S,
        stall_timeout: float = STALL_S,
    ) -> None:
        self._link = link_async(address, certificates, insecure)
        # For ingests, which run in threads.
        self._link_blocking = partial(link_blocking, address, certificates, insecure)
        self._timeout = timeout
        self._stall_timeout = stall_timeout
        self._metadata: Metadata = ()

    def on_behalf_of(self, person: str) -> AsyncClient:
        """As `Client.on_behalf_of`."""
        client = copy(self)
        client._metadata = on_behalf_of(person)
        return client

    async def presence(
        self,
        device: str,
        start: datetime,
        end: datetime,
        *,
        place: str | None = None,
        dataset: str = "wifi",
        purpose: str = "",
    ) -> Presence:
        """As `Client.presence`."""
        request = requests.presence(dataset, device, start, end, place, purpose)
        return answers.presence(await self._pages(self._on(PresenceServiceStub).FindSessions, request))

    async def count(
        self, start: datetime, end: datetime, *, place: Where = None, exact: bool = False, dataset: str = "wifi"
    ) -> Count:
        """As `Client.count`."""
        request = requests.count(dataset, start, end, place, exact=exact)
        return answers.count(await self._answer(self._on(OccupancyServiceStub).Count, request))

    async def count_by_place(
        self,
        start: datetime,
        end: datetime,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        dataset: str = "wifi",
    ) -> PlaceCounts:
        """As `Client.count_by_place`."""
        request = requests.count_by_place(dataset, start, end, groups)
        return answers.place_counts(await self._pages(self._on(OccupancyServiceStub).CountByPlace, request))

    async def occupancy(
        self, start: datetime, end: datetime, step: timedelta, *, place: Where = None, dataset: str = "wifi"
    ) -> Occupancy:
        """As `Client.occupancy`."""
        request = requests.series(dataset, start, end, step, place)
        return answers.occupancy(await self._pages(self._on(OccupancyServiceStub).Series, request), step)

    async def peak(
        self, start: datetime, end: datetime, step: timedelta, *, place: Where = None, dataset: str = "wifi"
    ) -> Peak:
        """As `Client.peak`."""
        request = requests.peak(dataset, start, end, step, place)
        return answers.peak((await self._answer(self._on(OccupancyServiceStub).Peak, request)).peak)

    async def list_places(self, start: datetime, end: datetime, *, dataset: str = "wifi") -> Places:
        """As `Client.list_places`."""
        request = requests.list_places(dataset, start, end)
        return answers.places(await self._pages(self._on(OccupancyServiceStub).ListPlaces, request))

    async def dwell(
        self,
        start: datetime,
        end: datetime,
        *,
        bounds: Sequence[timedelta] = (),
        look_back: timedelta = timedelta(0),
        place: Where = None,
        dataset: str = "wifi",
    ) -> Dwell:
        """As `Client.dwell`."""
        request = requests.dwell(dataset, start, end, bounds, look_back, place)
        return answers.dwell(await self._answer(self._on(OccupancyServiceStub).Dwell, request), tuple(bounds))

    async def explain(
        self,
        start: datetime,
        end: datetime,
        *,
        place: str | None = None,
        device: str | None = None,
        dataset: str = "wifi",
        purpose: str = "",
    ) -> Explanation:
        """As `Client.explain`."""
        request = requests.explain(dataset, start, end, place, device, purpose)
        return answers.explanation(await self._answer(self._on(ExplainServiceStub).Explain, request))

    async def station_history(
        self, station: str, start: datetime, end: datetime, *, dataset: str = "bikes"
    ) -> StationStates:
        """As `Client.station_history`."""
        request = requests.station_history(dataset, station, start, end)
        return answers.station_states(await self._pages(self._on(StationsServiceStub).ListHistory, request))

    async def stations_now(self, contract: str, at: datetime | None = None, *, dataset: str = "bikes") -> StationStates:
        """As `Client.stations_now`."""
        request = requests.stations_now(dataset, contract, at)
        return answers.station_states(await self._pages(self._on(StationsServiceStub).ListLatest, request))

    async def availability(
        self, contract: str, start: datetime, end: datetime, step: timedelta, *, dataset: str = "bikes"
    ) -> Availability:
        """As `Client.availability`."""
        request = requests.availability(dataset, contract, start, end, step)
        return answers.availability(await self._pages(self._on(StationsServiceStub).Availability, request), step)

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
        """As `Client.query`; not itself awaited, but what it returns is read with `async for`."""
        request = requests.query(dataset, start, end, subject=subject, place=place, columns=columns, purpose=purpose)
        return AsyncRecords(
            self._arrow_pages(self._on(QueryServiceStub).Query(request, timeout=self._timeout, metadata=self._metadata))
        )

    async def ingest(
        self,
        dataset: str,
        batches: Iterable[pa.Table | pa.RecordBatch] | AsyncIterable[pa.Table | pa.RecordBatch],
        *,
        retry: Retry = for_a_minute,
    ) -> AsyncIterator[Ack]:
        """As `Client.ingest`; `batches` may also be an async iterable."""
        from privacyplease.client._internal.async_upload import acks_of, in_thread
        from privacyplease.client._internal.upload import Upload

        link = self._link_blocking()
        upload = Upload(
            lambda requests: IngestServiceStub(link.current()).Ingest(requests, metadata=self._metadata),
            dataset,
            in_thread(batches),
            self._stall_timeout,
            retry,
        )
        try:
            with translated():
                async for ack in acks_of(upload):
                    yield ack
        finally:
            for channel in link.opened():
                channel.close()

    async def seal_letters(self, dataset: str, payloads: Sequence[bytes]) -> list[bytes]:
        """As `Client.seal_letters`."""
        sealing = letters.seal_requests(dataset, payloads)
        answered = [await self._answer(self._on(DeadLetterServiceStub).Seal, request) for request in sealing]
        return [letter for response in answered for letter in response.letters]

    async def open_letters(self, dataset: str, sealed: Sequence[bytes]) -> list[bytes | None]:
        """As `Client.open_letters`."""
        opening = letters.open_requests(dataset, sealed)
        answered = [await self._answer(self._on(DeadLetterServiceStub).Open, request) for request in opening]
        return [payload for response in answered for payload in letters.payloads_of(response)]

    async def compact(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        dataset: str | None = None,
        include_open: bool = False,
    ) -> AsyncIterator[Compacted]:
        """As `Client.compact`."""
        request = requests.compact(dataset, start, end, include_open)
        with translated():
            async for response in self._on(CompactionServiceStub).Compact(request, metadata=self._metadata):
                yield answers.compacted(response)

    async def datasets(self) -> tuple[Dataset, ...]:
        """As `Client.datasets`."""
        return answers.datasets(await self._answer(self._on(QueryServiceStub).ListDatasets, ListDatasetsRequest()))

    async def status(self) -> Status:
        """As `Client.status`."""
        return system.status(await self._answer(self._on(AdminServiceStub).GetStatus, GetStatusRequest()))

    async def keys(self, dataset: str | None = None) -> Keys:
        """As `Client.keys`."""
        return life_of_keys.keys(
            await self._answer(self._on(KeysServiceStub).ListKeys, ListKeysRequest(dataset=dataset or ""))
        )

    async def rotate_master(self, master_key: str = "passphrase", *, passphrase: str = "") -> int:
        """As `Client.rotate_master`."""
        request = RotateMasterRequest(master_key=master_key, passphrase=passphrase)
        return (await self._work(self._on(KeysServiceStub).RotateMaster, request)).keys

    async def rotate_epoch(self, dataset: str, containing: datetime) -> Renewed:
        """As `Client.rotate_epoch`."""
        request = life_of_keys.rotate_epoch(dataset, containing)
        return life_of_keys.renewed(await self._work(self._on(KeysServiceStub).RotateEpoch, request))

    async def export_keyring(
        self, start: datetime, end: datetime, *, passphrase: str, dataset: str = "wifi"
    ) -> ExportedKeyring:
        """As `Client.export_keyring`."""
        request = life_of_keys.export(dataset, start, end, passphrase)
        return life_of_keys.exported(await self._pages(self._on(KeysServiceStub).ExportKeyring, request))

    async def destroy_epochs(
        self,
        dataset: str,
        *,
        before: datetime | None = None,
        containing: datetime | None = None,
        dry_run: bool = False,
    ) -> Destroyed:
        """As `Client.destroy_epochs`."""
        request = life_of_keys.destroy(dataset, before, containing, dry_run)
        return life_of_keys.destroyed(await self._work(self._on(KeysServiceStub).DestroyEpochs, request))

    async def whoami(self) -> Access:
        """As `Client.whoami`."""
        return answers.access(await self._answer(self._on(AccessServiceStub).WhoAmI, WhoAmIRequest()))

    async def verify(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        dataset: str | None = None,
        told: Callable[[VerificationProgress], object] | None = None,
    ) -> Verification:
        """As `Client.verify`."""
        from privacyplease.client._internal.verifying import Verifying

        verifying = Verifying(told)
        request = requests.verify(dataset, start, end)
        with translated():
            async for event in self._on(VerificationServiceStub).Verify(request, metadata=self._metadata):
                verifying.take(event)
        return verifying.result()

    async def audit_entries(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        who: str | None = None,
        rpc: str | None = None,
        device: str | None = None,
    ) -> tuple[AuditEntry, ...]:
        """As `Client.audit_entries`."""
        request = requests.audit_entries(start, end, who, rpc, device)
        return answers.audit_entries(await self._pages(self._on(AuditServiceStub).ListEntries, request))

    async def verify_audit(self) -> AuditVerdict:
        """As `Client.verify_audit`."""
        return answers.audit_verdict(await self._work(self._on(AuditServiceStub).VerifyLog, VerifyLogRequest()))

    async def close(self) -> None:
        """Closes the channel; what still runs on it fails."""
        for channel in self._link.opened():
            await channel.close(grace=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _on(self, stub: Callable[[grpc.aio.Channel], _Stub]) -> _Stub:
        return stub(self._link.current())

    async def _answer(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
    ) -> _Response:
        with translated():
            return await method(request, timeout=self._timeout, metadata=self._metadata)

    async def _work(
        self, method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Response], request: _Request
    ) -> _Response:
        with translated():
            return await method(request, metadata=self._metadata)

    async def _pages(
        self, method: grpc.aio.UnaryStreamMultiCallable[_Request, _Response], request: _Request
    ) -> list[_Response]:
        with translated():
            return [page async for page in method(request, timeout=self._timeout, metadata=self._metadata)]

    async def _arrow_pages(self, call: grpc.aio.UnaryStreamCall[QueryRequest, QueryResponse]) -> AsyncIterator[Page]:
        try:
            with translated():
                async for page in call:
                    yield Page(page.arrow, page.records)
        finally:
            call.cancel()
