"""The proxy as a gRPC server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from privacyplease.proxy.access.control import AccessControl
from privacyplease.proxy.access.guard import AccessGuard
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rate_limiter import RateLimiter
from privacyplease.proxy.assembly.collectors import certificate_metrics
from privacyplease.proxy.assembly.components import Components
from privacyplease.proxy.assembly.contracts import COUNTING, METHODS, SERVICES, WHILE_WAITING, kinds
from privacyplease.proxy.assembly.locked import Locked
from privacyplease.proxy.assembly.process import ProcessContext
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.edge.authentication import Authentication
from privacyplease.proxy.edge.fence import Fence, FenceInterceptor
from privacyplease.proxy.edge.identity import client_of
from privacyplease.proxy.edge.rpc import REFUSALS
from privacyplease.proxy.errors import ConfigurationError, KeyringError, NotExportedError, ProxyError, RolledBackError
from privacyplease.proxy.export.search import ExportedSearch
from privacyplease.proxy.records import dataset
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.services.occupancy import OccupancyService
from privacyplease.proxy.storage.client import MOST_MESSAGE_BYTES, StorageClient
from privacyplease.proxy.telemetry.activity import Activity
from privacyplease.proxy.telemetry.metrics import Metrics
from privacyplease.proxy.v1 import occupancy_service_pb2_grpc
from privacyplease.transport.admission import Admission
from privacyplease.transport.call_log import CallLog, log_failure
from privacyplease.transport.credentials import server_credentials
from privacyplease.transport.loopback import require_loopback
from privacyplease.transport.server_options import NON_BLOCKING_HEALTH, SERVER_OPTIONS

# A caller that keeps the proxy waiting for so long, before sending its message or reading the answer, is cut off.
STALL_SECONDS = 60.0

ONLY_COUNTS = "this proxy runs on an exported keyring: it counts people and does nothing else"

_OPTIONS = [
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    *SERVER_OPTIONS,
]

_log = logging.getLogger("privacyplease.proxy")

Register: TypeAlias = Callable[[grpc.Server], None]
Interceptors: TypeAlias = "list[grpc.ServerInterceptor[Any, Any]]"


class Edge(NamedTuple):
    """What refuses calls, besides admission.

    Attributes:
        authentication: Lets in only clients, by their certificates.
        locked: Refuses what this proxy does not serve; None if it serves everything.
        guard: Holds calls to the policy; None if none is answered.
        fence: Closed while the proxy has no lease on a shared trusted store; None if it needs none.
    """

    authentication: Authentication
    locked: Locked | None
    guard: AccessGuard | None
    fence: Fence | None = None

    def before_admission(self, certificates: Path | None) -> Interceptors:
        """What needs no slot. Plaintext shows no identity."""
        return [*([self.authentication] if certificates else []), *([self.locked] if self.locked else [])]

    def after_admission(self) -> Interceptors:
        """What looks at requests."""
        return [*([FenceInterceptor(self.fence)] if self.fence else []), *([self.guard] if self.guard else [])]


class Proxy:
    """A proxy that can be bound to an address and started."""

    def __init__(self, settings: ProxySettings) -> None:
        """Assembles the proxy.

        If the passphrase does not open the master key, or the trusted store was rolled back, the proxy is *locked*: it
        runs, reports NOT_SERVING to health checks and refuses every call with the reason. While a restore waits for an
        approval, it refuses all but status, approvals and audit log, and goes on by itself once it is granted.

        Raises:
            ConfigurationError: A file of the home is wrong; or the home was restored from a backup, and what was
                written after it is unavailable.
        """
        self._health = health.HealthServicer(experimental_non_blocking=NON_BLOCKING_HEALTH)
        self._certificates: Path | None = settings.certificates
        self._components: Components | None = None
        self.locked: ProxyError | None = None
        self.metrics, activity = Metrics(METHODS.values()), Activity()
        datasets = dataset.load(settings.home.datasets)
        policies = PolicyFile(settings.home.policy, datasets)
        access = AccessControl(policies, datasets, RateLimiter(), plaintext=self._certificates is None)
        stopping = threading.Event()
        process = ProcessContext(settings, datasets, policies, access, stopping, self.metrics, activity)
        try:
            register, edge = (
                self._counting(process, settings.keyring) if settings.keyring else self._everything(process)
            )
        except (KeyringError, RolledBackError) as error:
            self.locked, register, edge = error, _nothing, Edge(Authentication(), Locked(lambda: self.locked), None)
        self._admission = Admission(
            kinds(settings), REFUSALS, STALL_SECONDS, gate=edge.guard, identity_of=client_of, stopping=stopping
        )
        call_log = CallLog(METHODS, self.metrics.called, activity.called, log_failure, client_of=client_of)
        interceptors = [call_log, *edge.before_admission(self._certificates), self._admission, *edge.after_admission()]
        self.metrics.watch(partial(certificate_metrics, self._certificates, settings.storage_certificates))
        self.metrics.locked.set(self.locked is not None)
        self.grpc = grpc.server(
            ThreadPoolExecutor(self._admission.threads, thread_name_prefix="call"),
            interceptors=interceptors,
            options=_OPTIONS,
        )
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
            require_loopback(address, ConfigurationError)
            return self.grpc.add_insecure_port(address)
        return self.grpc.add_secure_port(address, server_credentials(self._certificates, ConfigurationError))

    def start(self) -> None:
        """Starts serving, and reports so to health checks."""
        if self._components:
            self._components.start(self._unlock)
        self._admission.start()
        self.grpc.start()
        self._report_health()

    def _unlock(self) -> None:
        """Answers every call."""
        if self.locked:
            self.locked = None
            self.metrics.locked.set(False)
            self._report_health()
            _log.info("serving: the restore is finished")

    def _report_health(self) -> None:
        state = health_pb2.HealthCheckResponse.NOT_SERVING if self.locked else health_pb2.HealthCheckResponse.SERVING
        for service in ("", *SERVICES):
            self._health.set(service, state)

    def stop(self, grace: float, lame_duck: float = 0.0) -> None:
        """Stops gracefully.

        Reports NOT_SERVING at once; refuses new calls after `lame_duck` seconds; then gives running questions `grace`
        seconds to finish, and ingest streams to acknowledge what was read.
        """
        self._health.enter_graceful_shutdown()
        if self._components:
            self._components.pause()
        time.sleep(lame_duck)
        self._admission.stop()
        self.grpc.stop(grace).wait()
        self._admission.end()
        if self._components:
            self._components.stop()

    def _everything(self, process: ProcessContext) -> tuple[Register, Edge]:
        """Every service, with authentication and the access guard in front of them."""
        self._components = components = Components(process)
        locked = None
        if waiting := components.waiting:
            self.locked = waiting.error
            locked = Locked(lambda: self.locked and waiting.error, unlocked=WHILE_WAITING)
        authentication = Authentication(components.recorder.unknown)
        return components.register, Edge(authentication, locked, components.guard, components.fence)

    def _counting(self, process: ProcessContext, keyring: Path) -> tuple[Register, Edge]:
        """The one service that an exported keyring can serve. Without a key for it, there is no audit log."""
        settings = process.settings
        storage = StorageClient.connect(settings.storage, settings.storage_certificates, self.metrics)
        cache = CellCache(settings.cache_bytes)
        search = ExportedSearch.open(keyring, settings.passphrase, storage, settings.most_tags, cache)
        occupancy = OccupancyService({search.dataset.name: search.dataset}, search, None)

        def register(server: grpc.Server) -> None:
            occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(occupancy, server)

        locked = Locked(lambda: NotExportedError(ONLY_COUNTS), unlocked=COUNTING)
        return register, Edge(Authentication(), locked, AccessGuard(process.access, None))


def _nothing(_server: grpc.Server) -> None:
    """Registers no service."""
