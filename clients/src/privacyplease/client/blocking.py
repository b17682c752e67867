"""The client for ordinary code, one call at a time. Safe to share between threads.

The examples ask about a day of a simulated campus: `day` is the pair of its first and its last instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from privacyplease.client._internal import answers, letters, requests, system
from privacyplease.client._internal import keys as life_of_keys
from privacyplease.client._internal.behalf import Metadata, on_behalf_of
from privacyplease.client._internal.link import link_blocking
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
from privacyplease.client.records import Page, Records
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
from privacyplease.proxy.v1.query_service_pb2 import ListDatasetsRequest, QueryResponse
from privacyplease.proxy.v1.query_service_pb2_grpc import QueryServiceStub
from privacyplease.proxy.v1.stations_service_pb2_grpc import StationsServiceStub
from privacyplease.proxy.v1.verification_service_pb2_grpc import VerificationServiceStub

if TYPE_CHECKING:
    import grpc
    import pyarrow as pa

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class Client:
    """Asks a proxy, and sends records to it.

    Both sides show a certificate. One that is not accepted raises `CertificateError`.

    Intervals are closed: a session [s, e] is in [start, end] when s <= end and e >= start. Times are datetimes with a
    time zone, kept to the millisecond; those without raise `ValueError`. Everything else that goes wrong raises a
    `PrivacyPleaseError`. Questions are tried again by themselves while the proxy is unreachable, for a second or so.

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
        self._link = link_blocking(address, certificates, insecure)
        self._timeout = timeout
        self._stall_timeout = stall_timeout
        self._metadata: Metadata = ()

    def on_behalf_of(self, person: str) -> Client:
        """A client that asks for a person, by the same connection: for services that others log in to.

        The policy must allow it, and allows what both may. The audit log names both.
        """
        client = copy(self)
        client._metadata = on_behalf_of(person)
        return client

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

        >>> seen = client.presence("6a:da:22:b6:7e:cb", *day, purpose="lost property")
        >>> for session in list(seen.sessions)[:2]:
        ...     print(session.place, session.start, session.end)
        ap-05-7 2024-10-01 00:33:21+00:00 2024-10-01 01:51:57+00:00
        ap-05-7 2024-10-01 08:15:50+00:00 2024-10-01 08:15:50+00:00

        Args:
            device: A MAC address in any notation.
            start: The first instant.
            end: The last instant.
            place: Only sessions at this place.
            dataset: The data set to ask.
            purpose: Why the question is asked, for the audit log; up to 500 characters. It must be stated, except for
                devices that the policy says are our own.
        """
        request = requests.presence(dataset, device, start, end, place, purpose)
        return answers.presence(self._pages(self._on(PresenceServiceStub).FindSessions, request))

    def count(
        self, start: datetime, end: datetime, *, place: Where = None, exact: bool = False, dataset: str = "wifi"
    ) -> Count:
        """How many distinct devices there were: at a place, at one of several, or anywhere.

        >>> client.count(*day), client.count(*day, place="ap-01-5"), client.count(*day, place=["ap-01-5", "ap-01-6"])
        (420, 288, 300)

        Args:
            start: The first instant.
            end: The last instant.
            place: Where.
            exact: Never estimate, whatever it costs. Else the number may be an estimate, and says so, where there were
                more than 65,536 devices and the proxy counts them from roll-ups.
            dataset: The data set to ask.
        """
        request = requests.count(dataset, start, end, place, exact=exact)
        return answers.count(self._answer(self._on(OccupancyServiceStub).Count, request))

    def count_by_place(
        self,
        start: datetime,
        end: datetime,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        dataset: str = "wifi",
    ) -> PlaceCounts:
        """How many distinct devices there were at each place.

        >>> buildings = client.list_places(*day).groups(depth=2)
        >>> for count in list(client.count_by_place(*day, groups=buildings))[:2]:
        ...     print(count.place, count.distinct_devices)
        Campus > Lecture hall 1 319
        Campus > Canteen 3 283

        Args:
            start: The first instant.
            end: The last instant.
            groups: Places that are counted as one, by the name to give them, as {"ground floor": ["ap-1", "ap-2"]}: a
                device counts once in each group where it was. Places of no group count by themselves.
            dataset: The data set to ask.
        """
        request = requests.count_by_place(dataset, start, end, groups)
        return answers.place_counts(self._pages(self._on(OccupancyServiceStub).CountByPlace, request))

    def occupancy(
        self, start: datetime, end: datetime, step: timedelta, *, place: Where = None, dataset: str = "wifi"
    ) -> Occupancy:
        """How many distinct devices there were in each step of the interval, and when the most.

        >>> occupancy = client.occupancy(*day, timedelta(hours=1))
        >>> print(occupancy.peak.at, occupancy.peak.distinct_devices)
        2024-10-01 11:00:00+00:00 396
        >>> occupancy.to_pandas().shape
        (24, 2)
        """
        request = requests.series(dataset, start, end, step, place)
        return answers.occupancy(self._pages(self._on(OccupancyServiceStub).Series, request), step)

    def peak(
        self, start: datetime, end: datetime, step: timedelta, *, place: Where = None, dataset: str = "wifi"
    ) -> Peak:
        """The step with the most distinct devices, as `occupancy` finds it, without the series."""
        request = requests.peak(dataset, start, end, step, place)
        return answers.peak(self._answer(self._on(OccupancyServiceStub).Peak, request).peak)

    def list_places(self, start: datetime, end: datetime, *, dataset: str = "wifi") -> Places:
        """Which places had a session during the interval, and where each of them lies.

        It reads every column of the interval's records: a short interval is enough for places that are busy.
        """
        request = requests.list_places(dataset, start, end)
        return answers.places(self._pages(self._on(OccupancyServiceStub).ListPlaces, request))

    def dwell(
        self,
        start: datetime,
        end: datetime,
        *,
        bounds: Sequence[timedelta] = (),
        look_back: timedelta = timedelta(0),
        place: Where = None,
        dataset: str = "wifi",
    ) -> Dwell:
        """How long sessions last that overlap the interval, and how many of their devices were there before.

        >>> dwell = client.dwell(*day, bounds=[timedelta(minutes=5), timedelta(hours=1)])
        >>> print(dwell.median, dwell.sessions)
        0:01:14 (11301, 3694, 509)

        Args:
            start: The first instant.
            end: The last instant.
            bounds: Where classes of length begin, ascending and positive; the first class begins at zero.
            look_back: How far before the interval to look for devices that return; not at all if zero.
            place: Only at this place, or at one of these.
            dataset: The data set to ask.
        """
        request = requests.dwell(dataset, start, end, bounds, look_back, place)
        return answers.dwell(self._answer(self._on(OccupancyServiceStub).Dwell, request), tuple(bounds))

    def explain(
        self,
        start: datetime,
        end: datetime,
        *,
        place: str | None = None,
        device: str | None = None,
        dataset: str = "wifi",
        purpose: str = "",
    ) -> Explanation:
        """What the storage server sees of a question: that of `count`, or of `presence` if a device is given.

        What is asked for follows from the interval alone, whoever or wherever the question is about.

        >>> seen = client.explain(*day, place="ap-01-5")
        >>> print(seen.records_distinct, seen.answer)
        2515 288

        Args:
            start: The first instant.
            end: The last instant.
            place: Only at this place.
            device: Whose sessions; devices are counted if None.
            dataset: The data set to ask.
            purpose: As for `presence`, if a device is given.
        """
        request = requests.explain(dataset, start, end, place, device, purpose)
        return answers.explanation(self._answer(self._on(ExplainServiceStub).Explain, request))

    def station_history(self, station: str, start: datetime, end: datetime, *, dataset: str = "bikes") -> StationStates:
        """What a bike-share station reported during the interval, ascending in time.

        Args:
            station: As "CONTRACT/NUMBER"; the contract in upper or lower case.
            start: The first instant.
            end: The last instant.
            dataset: The data set to ask.
        """
        request = requests.station_history(dataset, station, start, end)
        return answers.station_states(self._pages(self._on(StationsServiceStub).ListHistory, request))

    def stations_now(self, contract: str, at: datetime | None = None, *, dataset: str = "bikes") -> StationStates:
        """The last state of each station of a contract, ascending by station as text.

        Args:
            contract: In upper or lower case.
            at: Reports after this time do not count; every report counts if None.
            dataset: The data set to ask.
        """
        request = requests.stations_now(dataset, contract, at)
        return answers.station_states(self._pages(self._on(StationsServiceStub).ListLatest, request))

    def availability(
        self, contract: str, start: datetime, end: datetime, step: timedelta, *, dataset: str = "bikes"
    ) -> Availability:
        """Bikes and free stands of a contract in each step of the interval, summed over its stations."""
        request = requests.availability(dataset, contract, start, end, step)
        return answers.availability(self._pages(self._on(StationsServiceStub).Availability, request), step)

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
    ) -> Records:
        """Whole records of any data set. The question is sent now; its errors come with reading.

        >>> records = client.query("wifi", *day, place="ap-01-5", columns=["client_mac"], purpose="planning")
        >>> records.to_polars()["client_mac"].n_unique()
        288

        Args:
            dataset: The data set to ask.
            start: The first instant.
            end: The last instant.
            subject: Only records of this subject; everybody's if None.
            place: Only records at this place; everywhere if None.
            columns: The columns wanted, in this order; all if None.
            purpose: As for `presence`; not needed where the data set is about no persons.
        """
        request = requests.query(dataset, start, end, subject=subject, place=place, columns=columns, purpose=purpose)
        return Records(
            self._arrow_pages(self._on(QueryServiceStub).Query(request, timeout=self._timeout, metadata=self._metadata))
        )

    def ingest(
        self, dataset: str, batches: Iterable[pa.Table | pa.RecordBatch], *, retry: Retry = for_a_minute
    ) -> Iterator[Ack]:
        """Sends batches of records; yields an acknowledgement when a batch is durable.

        Nothing is sent before the first acknowledgement is asked for. `batches` is read in a thread of its own, at most
        four messages ahead of the acknowledgements. If the proxy goes away, what it did not acknowledge is sent again
        when it is back: ingest is idempotent. After a minute without it, the error is raised.

        Args:
            dataset: The data set that the records belong to.
            batches: Tables or record batches of any size; columns are named as in the data set's definition.
            retry: Decides otherwise. Given the error and how many came before it since the last acknowledgement, it
                returns for how many seconds to wait before the next attempt, or None if the error is to be raised.
        """
        from privacyplease.client._internal.upload import Upload

        with translated():
            yield from Upload(
                lambda requests: self._on(IngestServiceStub).Ingest(requests, metadata=self._metadata),
                dataset,
                batches,
                self._stall_timeout,
                retry,
            ).acks()

    def seal_letters(self, dataset: str, payloads: Sequence[bytes]) -> list[bytes]:
        """Has messages that could not be ingested sealed, to wait on a bus that nobody has to trust.

        Args:
            dataset: The data set that they were meant for.
            payloads: The messages, byte for byte; any number, each of up to 16 MiB.

        Returns:
            A letter for each, in the same order.
        """
        sealing = letters.seal_requests(dataset, payloads)
        answered = (self._answer(self._on(DeadLetterServiceStub).Seal, request) for request in sealing)
        return [letter for response in answered for letter in response.letters]

    def open_letters(self, dataset: str, sealed: Sequence[bytes]) -> list[bytes | None]:
        """Has letters of `seal_letters` opened.

        Returns:
            The payload of each, in the same order; None for a letter that was changed, was sealed for another data
            set, or whose epoch was erased.
        """
        opening = letters.open_requests(dataset, sealed)
        answered = (self._answer(self._on(DeadLetterServiceStub).Open, request) for request in opening)
        return [payload for response in answered for payload in letters.payloads_of(response)]

    def compact(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        dataset: str | None = None,
        include_open: bool = False,
    ) -> Iterator[Compacted]:
        """Merges what was stored piece by piece, now; the proxy does the same by itself in the background.

        No answer changes by it. Nothing is done before the first step is asked for.

        Args:
            start: Only segments that can hold records from then on; all if None.
            end: Only segments that can hold records until then; all if None.
            dataset: Only this data set.
            include_open: Also segments of the last minutes, to which neighbours are expected.
        """
        request = requests.compact(dataset, start, end, include_open)
        with translated():
            for response in self._on(CompactionServiceStub).Compact(request, metadata=self._metadata):
                yield answers.compacted(response)

    def datasets(self) -> tuple[Dataset, ...]:
        """All data sets, ascending by name."""
        return answers.datasets(self._answer(self._on(QueryServiceStub).ListDatasets, ListDatasetsRequest()))

    def status(self) -> Status:
        """How the system is doing. Answers even if the storage server is away, and says so."""
        return system.status(self._answer(self._on(AdminServiceStub).GetStatus, GetStatusRequest()))

    def keys(self, dataset: str | None = None) -> Keys:
        """Which periods have a key, and which were destroyed.

        Args:
            dataset: Only this data set.
        """
        return life_of_keys.keys(
            self._answer(self._on(KeysServiceStub).ListKeys, ListKeysRequest(dataset=dataset or ""))
        )

    def rotate_master(self, master_key: str = "passphrase", *, passphrase: str = "") -> int:
        """Puts a new master key in force: every data key is wrapped anew, and no cell is touched.

        It takes as long as it takes to do so, whatever `timeout` says.

        Args:
            master_key: Who holds it: "passphrase", "pkcs11:…", "vault:…" or "aws-kms:…".
            passphrase: Its passphrase, if it is one; without, the proxy makes one up and keeps it in its home.

        Returns:
            How many data keys were wrapped anew.
        """
        request = RotateMasterRequest(master_key=master_key, passphrase=passphrase)
        return (self._work(self._on(KeysServiceStub).RotateMaster, request)).keys

    def rotate_epoch(self, dataset: str, containing: datetime) -> Renewed:
        """Renews the key of one period: its records are sealed again, and the old key is destroyed.

        Answers stay right meanwhile. It takes as long as it takes to read and write the period, whatever `timeout`
        says; if it is cut short, the proxy finishes it.

        Args:
            dataset: The data set.
            containing: An instant in the period.
        """
        request = life_of_keys.rotate_epoch(dataset, containing)
        return life_of_keys.renewed(self._work(self._on(KeysServiceStub).RotateEpoch, request))

    def export_keyring(
        self, start: datetime, end: datetime, *, passphrase: str, dataset: str = "wifi"
    ) -> ExportedKeyring:
        """Makes a keyring for somebody who may count people in an interval, as of now, and no more.

        It opens who was where, from when and for how long, for every period that the interval touches, whole periods:
        read its `epochs` before you hand it over. What comes in later is not part of it, and once the interval is
        compacted a new one is due. `python -m privacyplease.proxy --keyring FILE` counts with it.

        Args:
            start: The first instant.
            end: The last instant, itself included.
            passphrase: What opens the keyring.
            dataset: The data set.
        """
        request = life_of_keys.export(dataset, start, end, passphrase)
        return life_of_keys.exported(self._pages(self._on(KeysServiceStub).ExportKeyring, request))

    def destroy_epochs(
        self,
        dataset: str,
        *,
        before: datetime | None = None,
        containing: datetime | None = None,
        dry_run: bool = False,
    ) -> Destroyed:
        """Erases periods for good: their keys are destroyed and their cells deleted. Nobody can take that back.

        It takes as long as it takes to delete the cells, whatever `timeout` says.

        Args:
            dataset: The data set.
            before: Every period that has ended by then.
            containing: Or the period that this instant lies in.
            dry_run: Only tell what would be destroyed.

        Raises:
            StorageUnavailableError: The periods are out of reach; their cells are deleted when the server is back.
        """
        request = life_of_keys.destroy(dataset, before, containing, dry_run)
        return life_of_keys.destroyed(self._work(self._on(KeysServiceStub).DestroyEpochs, request))

    def whoami(self) -> Access:
        """Whom the proxy takes us for, and what we may ask."""
        return answers.access(self._answer(self._on(AccessServiceStub).WhoAmI, WhoAmIRequest()))

    def verify(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        dataset: str | None = None,
        told: Callable[[VerificationProgress], object] | None = None,
    ) -> Verification:
        """Compares what the storage server has with the proxy's manifest of what it must have.

        It takes as long as it takes to read the store, whatever `timeout` says. Records may come in meanwhile.

        Args:
            start: Only cells that can hold a record that overlaps [start, end]; from the earliest time if None.
            end: To the latest time if None.
            dataset: Only this data set.
            told: Called with each progress.
        """
        from privacyplease.client._internal.verifying import Verifying

        verifying = Verifying(told)
        request = requests.verify(dataset, start, end)
        with translated():
            for event in self._on(VerificationServiceStub).Verify(request, metadata=self._metadata):
                verifying.take(event)
        return verifying.result()

    def audit_entries(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        who: str | None = None,
        rpc: str | None = None,
        device: str | None = None,
    ) -> tuple[AuditEntry, ...]:
        """The proxy's audit log, oldest entries first, unverified.

        Args:
            start: Not before this time.
            end: Not after this time.
            who: Only by this caller, or for this person.
            rpc: Only of this rpc, as "PresenceService/FindSessions", or of this service.
            device: Only about this subject.
        """
        request = requests.audit_entries(start, end, who, rpc, device)
        return answers.audit_entries(self._pages(self._on(AuditServiceStub).ListEntries, request))

    def verify_audit(self) -> AuditVerdict:
        """Whether anybody has been at the audit log.

        It takes as long as it takes to read the log, whatever `timeout` says.
        """
        return answers.audit_verdict(self._work(self._on(AuditServiceStub).VerifyLog, VerifyLogRequest()))

    def close(self) -> None:
        """Closes the channel; what still runs on it fails."""
        for channel in self._link.opened():
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _on(self, stub: Callable[[grpc.Channel], _Stub]) -> _Stub:
        """For one call: making a stub takes a few microseconds, and its channel may be a new one."""
        return stub(self._link.current())

    def _answer(self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request) -> _Response:
        with translated():
            return method(request, timeout=self._timeout, metadata=self._metadata)

    def _work(self, method: grpc.UnaryUnaryMultiCallable[_Request, _Response], request: _Request) -> _Response:
        """As `_answer`, for what may have to go through the whole store or log: the proxy ends it after a day."""
        with translated():
            return method(request, metadata=self._metadata)

    def _pages(self, method: grpc.UnaryStreamMultiCallable[_Request, _Response], request: _Request) -> list[_Response]:
        with translated():
            return list(method(request, timeout=self._timeout, metadata=self._metadata))

    def _arrow_pages(self, call: grpc.CallIterator[QueryResponse]) -> Iterator[Page]:
        try:
            with translated():
                for page in call:
                    yield Page(page.arrow, page.records)
        finally:
            call.cancel()  # type: ignore[no-untyped-call]
