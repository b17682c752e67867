"""The proxy as a gRPC server: every part made once and put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from sqlalchemy import Engine, select

from privacyplease.proxy import counting_only
from privacyplease.proxy.access.guard import Access, Guard
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rates import Rates
from privacyplease.proxy.access.recorder import Recorder
from privacyplease.proxy.adopting import Adopting, adopt
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.certificates.credentials import require_loopback, server_credentials
from privacyplease.proxy.compaction import Compaction
from privacyplease.proxy.compactor import Compactor
from privacyplease.proxy.edge.admission import Admission, Kind
from privacyplease.proxy.edge.identification import Identified
from privacyplease.proxy.edge.rpc import status
from privacyplease.proxy.erasing import Erasing, Retention
from privacyplease.proxy.erasures import Erasures
from privacyplease.proxy.errors import KeyringError, NotExportedError, ProxyError
from privacyplease.proxy.exporting import Exporting
from privacyplease.proxy.holdings import Holdings
from privacyplease.proxy.keys.dead_letters import Letters
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import Rotation, described_by, folder_in_force
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.predicate import MOST_TAGS
from privacyplease.proxy.records import dataset
from privacyplease.proxy.renewing import Renewing
from privacyplease.proxy.sealing import Sealing
from privacyplease.proxy.search import Search
from privacyplease.proxy.services.access import AccessService
from privacyplease.proxy.services.admin import AdminService
from privacyplease.proxy.services.audit import AuditService
from privacyplease.proxy.services.compaction import CompactionService
from privacyplease.proxy.services.explain import ExplainService
from privacyplease.proxy.services.ingest import IngestService, Streams
from privacyplease.proxy.services.keys import KeysService
from privacyplease.proxy.services.letters import DeadLetterService
from privacyplease.proxy.services.occupancy import OccupancyService
from privacyplease.proxy.services.presence import PresenceService
from privacyplease.proxy.services.query import QueryService
from privacyplease.proxy.services.stations import StationsService
from privacyplease.proxy.services.verification import VerificationService
from privacyplease.proxy.storage.client import MOST_MESSAGE_BYTES, Storage
from privacyplease.proxy.telemetry import logs
from privacyplease.proxy.telemetry.activity import Activity
from privacyplease.proxy.telemetry.calls import Observed, methods
from privacyplease.proxy.telemetry.metrics import Metrics, answers_of, backups_of, cache_of, ledger_of
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import (
    access_service_pb2,
    access_service_pb2_grpc,
    admin_service_pb2,
    admin_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    compaction_service_pb2,
    compaction_service_pb2_grpc,
    dead_letter_service_pb2,
    dead_letter_service_pb2_grpc,
    explain_service_pb2,
    explain_service_pb2_grpc,
    ingest_service_pb2,
    ingest_service_pb2_grpc,
    keys_service_pb2,
    keys_service_pb2_grpc,
    occupancy_service_pb2,
    occupancy_service_pb2_grpc,
    presence_service_pb2,
    presence_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
    stations_service_pb2,
    stations_service_pb2_grpc,
    verification_service_pb2,
    verification_service_pb2_grpc,
)
from privacyplease.proxy.verification import Verification
from privacyplease.proxy.verified import VerifiedStorage

CONTRACTS = (
    access_service_pb2.DESCRIPTOR,
    admin_service_pb2.DESCRIPTOR,
    audit_service_pb2.DESCRIPTOR,
    compaction_service_pb2.DESCRIPTOR,
    dead_letter_service_pb2.DESCRIPTOR,
    explain_service_pb2.DESCRIPTOR,
    ingest_service_pb2.DESCRIPTOR,
    keys_service_pb2.DESCRIPTOR,
    occupancy_service_pb2.DESCRIPTOR,
    presence_service_pb2.DESCRIPTOR,
    query_service_pb2.DESCRIPTOR,
    stations_service_pb2.DESCRIPTOR,
    verification_service_pb2.DESCRIPTOR,
)
SERVICES = tuple(name for contract in CONTRACTS for name in (s.full_name for s in contract.services_by_name.values()))
METHODS = methods(CONTRACTS)

# A caller that keeps the proxy waiting for so long, for the message of its call or for taking the answer, is cut off.
STALL_SECONDS = 60.0

_STATUS = "/privacyplease.proxy.v1.AdminService/GetStatus"
_INGEST = ingest_service_pb2.DESCRIPTOR.services_by_name["IngestService"].full_name
# What may have to go through the whole store, or the whole log.
_MAINTENANCE = tuple(
    f"/privacyplease.proxy.v1.{service}Service/" for service in ("Audit", "Compaction", "Keys", "Verification")
)
_WATCHES, _STATUSES, _REFLECTIONS, _MAINTAINED = 16, 8, 4, 4
_DAY_SECONDS = 86_400.0
_STATUS_SECONDS = 5.0

# What is left of them to a proxy on an exported keyring.
COUNTING = frozenset(s.full_name for s in occupancy_service_pb2.DESCRIPTOR.services_by_name.values())
COUNTS_ALONE = "this proxy runs on an exported keyring: it counts people and does nothing else"

_OPTIONS = [
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # two proxies on one port would split the clients between them
    # Certificates are looked at when a connection begins: one that has expired since is good for an hour at most.
    # Calls that run are not cut off.
    ("grpc.max_connection_age_ms", 3_600_000),
]


@dataclass(frozen=True)
class Settings:
    """What a proxy is started with.

    Attributes:
        home: Its home.
        storage: The storage server's address.
        passphrase: What opens the master key; None for the home's own.
        questions: Questions answered at once.
        streams: Ingest streams open at once.
        question_seconds: How long an answer may take.
        idle_seconds: How long an ingest stream may be idle.
        most_tags: Tags that one question may touch.
        cache_bytes: How much of what was opened of compacted periods stays in memory.
        certificates: Folder of its certificate for clients (`credentials.py`); None for plaintext, on loopback alone.
        storage_certificates: Folder of its certificate for the storage server; None likewise.
        trusted_store: URL of a trusted store that proxies share (`trusted_store.open_url`); None for the home's own.
        keyring: An exported keyring to count people with, and do nothing else; of the home the policy alone is used,
            and the passphrase opens this file.
        compacts: Whether it compacts in the background.
    """

    home: Home
    storage: str
    passphrase: str | None = None
    questions: int = 16
    streams: int = 32
    question_seconds: float = 120.0
    idle_seconds: float = 600.0
    most_tags: int = MOST_TAGS
    cache_bytes: int = 256 << 20
    certificates: Path | None = None
    storage_certificates: Path | None = None
    trusted_store: str | None = None
    keyring: Path | None = None
    compacts: bool = True


Register: TypeAlias = Callable[[grpc.Server], None]
Guards: TypeAlias = "list[grpc.ServerInterceptor[Any, Any]]"


class Proxy:
    """A proxy that can be bound to an address and started."""

    def __init__(self, settings: Settings) -> None:
        """Puts the parts together.

        A passphrase that does not open the master key makes a *locked* proxy: it runs, says NOT_SERVING to health
        checks and refuses every call with the reason, so that whoever asks learns why.

        Raises:
            ConfigurationError: A file of the home is wrong; or it was restored, and what came later is not to be had.
        """
        # Blocking: its other way lets a watcher that leaves while another comes stop the whole server, for one holds
        # the lock that the other needs in gRPC's only thread (grpcio-health-checking 1.8x, `HealthServicer.Watch`).
        self._health = health.HealthServicer(experimental_non_blocking=False)
        self._admission = Admission(_kinds(settings), STALL_SECONDS)
        self.locked: KeyringError | None = None
        self.metrics, self._activity = Metrics(METHODS.values()), Activity()
        self._certificates = settings.certificates
        self._retention: Retention | None = None
        self._compactor: Compactor | None = None
        self._audit: AuditLog | None = None
        datasets = dataset.load(settings.home.datasets)
        policies = PolicyFile(settings.home.policy, datasets)
        access = Access(policies, datasets, Rates(), plaintext=self._certificates is None)
        try:
            if settings.keyring:
                register, guards = self._counting(settings, settings.keyring, access)
            else:
                register, guards = self._services(settings, datasets, policies, access)
        except KeyringError as error:
            self.locked, guards = error, [Identified(), _Locked(error)]
        identified, *guards = guards
        certified = [identified] if self._certificates else []  # plaintext shows no identity
        observed = Observed(METHODS, self.metrics.called, self._activity.called, logs.refused)
        interceptors: Guards = [observed, *certified, self._admission, *guards]
        self.metrics.locked.set(self.locked is not None)
        self.grpc = grpc.server(
            ThreadPoolExecutor(self._admission.threads, thread_name_prefix="call"),
            interceptors=interceptors,
            options=_OPTIONS,
        )
        if not self.locked:
            register(self.grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        reflection.enable_server_reflection((*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self.grpc)

    def bind(self, address: str) -> int:
        """Binds to an address, as "127.0.0.1:0".

        Returns:
            The port.

        Raises:
            ConfigurationError: The certificates cannot be used, or plaintext would leave this machine.
        """
        if self._certificates is None:
            require_loopback(address)
            return self.grpc.add_insecure_port(address)
        return self.grpc.add_secure_port(address, server_credentials(self._certificates))

    def start(self) -> None:
        """Starts serving; the health service says so."""
        self._admission.start()
        self.grpc.start()
        state = health_pb2.HealthCheckResponse.NOT_SERVING if self.locked else health_pb2.HealthCheckResponse.SERVING
        for service in ("", *SERVICES):
            self._health.set(service, state)
        for worker in (self._audit, self._retention, self._compactor):
            if worker:
                worker.start()

    def stop(self, grace: float, lame_duck: float = 0.0) -> None:
        """Ends in good order.

        Says NOT_SERVING; refuses new calls after `lame_duck` seconds; lets running questions finish, and ingest streams
        acknowledge what was read, for `grace` seconds; ends.
        """
        self._health.enter_graceful_shutdown()
        for worker in (self._retention, self._compactor):
            if worker:
                worker.stop()
        time.sleep(lame_duck)
        self._admission.stop()
        self.grpc.stop(grace).wait()
        self._admission.end()
        if self._audit:
            self._audit.stop()

    def _services(
        self, settings: Settings, datasets: dict[str, dataset.Dataset], policies: PolicyFile, access: Access
    ) -> tuple[Register, Guards]:
        """Every service, and what stands before them: who calls, and whether they may."""
        home, url = settings.home, settings.trusted_store
        shared = trusted_store.open_url(url) if url else None
        folder = folder_in_force(shared) if shared else _folder_in_force(home)
        wraps = shared is not None and _has_keys(shared)
        master = described_by(home, folder).master_key(settings.passphrase, wraps=wraps)
        store = shared or trusted_store.open_store(home.trusted_store)
        keyring, layouts, holdings = Keyring(store, master, folder), Layouts(store), Holdings(store)
        layouts.check(datasets)
        # The log is this home's, and so is its anchor, which may lag behind after a loss of power: its commits need not
        # wait for the disk.
        log = AuditLog(home.audit, trusted_store.open_store(home.trusted_store, durable=False), keyring)
        self._audit, recorder = log, Recorder(log)
        storage = Storage.connect(settings.storage, settings.storage_certificates, self.metrics)
        ledger = Ledger(store, keyring)
        verified = VerifiedStorage(storage, ledger)
        self.metrics.watch(lambda: ledger_of(ledger))
        self.metrics.watch(lambda: answers_of(verified.answers))
        self.metrics.watch(lambda: backups_of(store))
        search = Search(verified, keyring, layouts, holdings, settings.most_tags, settings.cache_bytes)
        self.metrics.watch(lambda: cache_of(search.cache))
        if home.restored.exists():
            adopt(home, Adopting(datasets, store, keyring, layouts, storage, ledger), log)
        erasures = Erasures(store, alone=shared is None)
        compaction = Compaction(store, verified, ledger, keyring, layouts)
        readers = [search.questions, compaction.jobs]
        erasing = Erasing(datasets, keyring, storage, ledger, erasures, readers, search.cache)
        renewing = Renewing(datasets, keyring, layouts, holdings, verified, erasing)
        self._retention = Retention(datasets, erasing, renewing.finish)
        compactor = Compactor(datasets, compaction)
        self._compactor = compactor if settings.compacts else None
        sealing, streams = Sealing(keyring, layouts), Streams(self._admission.stopping, settings.idle_seconds)
        batches = self.metrics.ingested, self._activity.ingested
        ingest = IngestService(datasets, sealing, layouts, verified, erasures, streams, *batches)
        exporting = Exporting(keyring, layouts, holdings, verified)
        rotation = Rotation(home, store, keyring)
        keys = KeysService(datasets, keyring, erasures, erasing, rotation, exporting, renewing)

        def register(server: grpc.Server) -> None:
            access_service_pb2_grpc.add_AccessServiceServicer_to_server(AccessService(access), server)
            admin = AdminService(
                datasets, keyring, storage, verified.answers, policies, ledger, self._activity, compactor, search.cache
            )
            admin_service_pb2_grpc.add_AdminServiceServicer_to_server(admin, server)
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(log), server)
            compaction_service_pb2_grpc.add_CompactionServiceServicer_to_server(
                CompactionService(datasets, compaction), server
            )
            ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(ingest, server)
            keys_service_pb2_grpc.add_KeysServiceServicer_to_server(keys, server)
            occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(
                OccupancyService(datasets, search), server
            )
            explain_service_pb2_grpc.add_ExplainServiceServicer_to_server(ExplainService(datasets, search), server)
            presence_service_pb2_grpc.add_PresenceServiceServicer_to_server(PresenceService(datasets, search), server)
            query_service_pb2_grpc.add_QueryServiceServicer_to_server(QueryService(datasets, search), server)
            stations_service_pb2_grpc.add_StationsServiceServicer_to_server(StationsService(datasets, search), server)
            letters = DeadLetterService(datasets, Letters(keyring))
            dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(letters, server)
            verification = VerificationService(
                datasets, Verification(verified, keyring, layouts, holdings, search.questions)
            )
            verification_service_pb2_grpc.add_VerificationServiceServicer_to_server(verification, server)

        return register, [Identified(recorder.unknown), Guard(access, recorder)]

    def _counting(self, settings: Settings, keyring: Path, access: Access) -> tuple[Register, Guards]:
        """The one service that an exported keyring is good for. It has no key to chain an audit log by."""
        storage = Storage.connect(settings.storage, settings.storage_certificates, self.metrics)
        search = counting_only.over(keyring, settings.passphrase, storage, settings.most_tags)
        occupancy = OccupancyService({search.dataset.name: search.dataset}, search)

        def register(server: grpc.Server) -> None:
            occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(occupancy, server)

        return register, [Identified(), _Locked(NotExportedError(COUNTS_ALONE), besides=COUNTING), Guard(access, None)]


def _folder_in_force(home: Home) -> str:
    """Makes no store: by an old one without a master key a home is known that has lost it."""
    return folder_in_force(trusted_store.open_store(home.trusted_store)) if home.trusted_store.exists() else ""


def _kinds(settings: Settings) -> tuple[Kind, ...]:
    """Whatever is no health check, no look at the contract and no ingest is a question."""
    return (
        Kind("watch", (f"/{health.SERVICE_NAME}/Watch",), _WATCHES, None, last=True),
        Kind("status", (f"/{health.SERVICE_NAME}/", _STATUS), _STATUSES, _STATUS_SECONDS, last=True),
        Kind("reflection", ("/grpc.reflection.",), _REFLECTIONS, _STATUS_SECONDS),
        Kind("ingest", (f"/{_INGEST}/",), settings.streams, None),
        Kind("maintenance", _MAINTENANCE, _MAINTAINED, _DAY_SECONDS),
        Kind("question", ("/",), settings.questions, settings.question_seconds),
    )


def _has_keys(store: Engine) -> bool:
    with store.connect() as connection:
        return connection.execute(select(trusted_store.data_keys.c.epoch).limit(1)).first() is not None


class _Locked(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Refuses calls of the proxy's own services, but of those named; health and reflection answer."""

    def __init__(self, error: ProxyError, besides: frozenset[str] = frozenset()) -> None:
        def refuse(_requests: object, context: grpc.ServicerContext) -> Iterator[object]:
            context.abort_with_status(rpc_status.to_status(status(error)))
            raise AssertionError("abort_with_status returned")

        self._refused = frozenset(SERVICES) - besides
        # Streams on both sides, whatever the call's own shape: it is refused before a message is read or sent.
        self._refusal = grpc.stream_stream_rpc_method_handler(refuse)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        refused = details.method.lstrip("/").split("/")[0] in self._refused
        return self._refusal if refused else continuation(details)
