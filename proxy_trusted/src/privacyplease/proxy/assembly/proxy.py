"""The proxy as a gRPC server."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from privacyplease.proxy.access.guard import Access, Guard
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.access.rates import Rates
from privacyplease.proxy.assembly.contracts import COUNTING, METHODS, SERVICES, kinds
from privacyplease.proxy.assembly.locked import Locked
from privacyplease.proxy.assembly.parts import Parts, Surroundings
from privacyplease.proxy.assembly.settings import Settings
from privacyplease.proxy.certificates.credentials import require_loopback, server_credentials
from privacyplease.proxy.edge.admission import Admission
from privacyplease.proxy.edge.identification import Identified
from privacyplease.proxy.errors import KeyringError, NotExportedError, ProxyError, RolledBackError
from privacyplease.proxy.export import counting
from privacyplease.proxy.records import dataset
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.services.occupancy import OccupancyService
from privacyplease.proxy.storage.client import MOST_MESSAGE_BYTES, StorageClient
from privacyplease.proxy.telemetry import logs
from privacyplease.proxy.telemetry.activity import Activity
from privacyplease.proxy.telemetry.calls import Observed
from privacyplease.proxy.telemetry.metrics import Metrics
from privacyplease.proxy.v1 import occupancy_service_pb2_grpc

# A caller that keeps the proxy waiting for so long, for the message of its call or for taking the answer, is cut off.
STALL_SECONDS = 60.0

COUNTS_ALONE = "this proxy runs on an exported keyring: it counts people and does nothing else"

_OPTIONS = [
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MOST_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),  # two proxies on one port would split the clients between them
    # Certificates are looked at when a connection begins: one that has expired since is good for an hour at most.
    # Calls that run are not cut off.
    ("grpc.max_connection_age_ms", 3_600_000),
]

Register: TypeAlias = Callable[[grpc.Server], None]
Guards: TypeAlias = "list[grpc.ServerInterceptor[Any, Any]]"


class Proxy:
    """A proxy that can be bound to an address and started."""

    def __init__(self, settings: Settings) -> None:
        """Puts the parts together.

        A passphrase that does not open the master key, or a trusted store that was rolled back, makes a *locked* proxy:
        it runs, says NOT_SERVING to health checks and refuses every call with the reason, so that whoever asks learns
        why.

        Raises:
            ConfigurationError: A file of the home is wrong; or it was restored, and what came later is not to be had.
        """
        # Blocking: its other way lets a watcher that leaves while another comes stop the whole server, for one holds
        # the lock that the other needs in gRPC's only thread (grpcio-health-checking 1.8x, `HealthServicer.Watch`).
        self._health = health.HealthServicer(experimental_non_blocking=False)
        self._admission = Admission(kinds(settings), STALL_SECONDS)
        self._certificates: Path | None = settings.certificates
        self._parts: Parts | None = None
        self.locked: ProxyError | None = None
        self.metrics, activity = Metrics(METHODS.values()), Activity()
        datasets = dataset.load(settings.home.datasets)
        policies = PolicyFile(settings.home.policy, datasets)
        access = Access(policies, datasets, Rates(), plaintext=self._certificates is None)
        around = Surroundings(settings, datasets, policies, access, self._admission, self.metrics, activity)
        try:
            register, guards = (
                self._counting(around, settings.keyring) if settings.keyring else self._everything(around)
            )
        except (KeyringError, RolledBackError) as error:
            self.locked, register, guards = error, _nothing, [Identified(), Locked(error)]
        identified, *guards = guards
        certified = [identified] if self._certificates else []  # plaintext shows no identity
        observed = Observed(METHODS, self.metrics.called, activity.called, logs.refused)
        interceptors: Guards = [observed, *certified, self._admission, *guards]
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
        if self._parts:
            self._parts.start()

    def stop(self, grace: float, lame_duck: float = 0.0) -> None:
        """Ends in good order.

        Says NOT_SERVING; refuses new calls after `lame_duck` seconds; lets running questions finish, and ingest streams
        acknowledge what was read, for `grace` seconds; ends.
        """
        self._health.enter_graceful_shutdown()
        if self._parts:
            self._parts.pause()
        time.sleep(lame_duck)
        self._admission.stop()
        self.grpc.stop(grace).wait()
        self._admission.end()
        if self._parts:
            self._parts.stop()

    def _everything(self, around: Surroundings) -> tuple[Register, Guards]:
        """Every service, and what stands before them: who calls, and whether they may."""
        self._parts = parts = Parts(around)
        return parts.register, [Identified(parts.recorder.unknown), Guard(around.access, parts.recorder)]

    def _counting(self, around: Surroundings, keyring: Path) -> tuple[Register, Guards]:
        """The one service that an exported keyring is good for. It has no key to chain an audit log by."""
        settings = around.settings
        storage = StorageClient.connect(settings.storage, settings.storage_certificates, self.metrics)
        search = counting.over(
            keyring, settings.passphrase, storage, settings.most_tags, CellCache(settings.cache_bytes)
        )
        occupancy = OccupancyService({search.dataset.name: search.dataset}, search, None)

        def register(server: grpc.Server) -> None:
            occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(occupancy, server)

        locked = Locked(NotExportedError(COUNTS_ALONE), besides=COUNTING)
        return register, [Identified(), locked, Guard(around.access, None)]


def _nothing(_server: grpc.Server) -> None:
    """Registers no service."""
