"""The gRPC server around the service: health, reflection, the port, and how it begins and ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from privacyplease.server import logs
from privacyplease.server.admission import Admission, Kind
from privacyplease.server.calls import Observed
from privacyplease.server.credentials import is_loopback, server_credentials
from privacyplease.server.errors import StartError
from privacyplease.server.identity import ProxyAlone
from privacyplease.server.limits import Limits
from privacyplease.server.metered import MeteredStore
from privacyplease.server.metrics import Metrics
from privacyplease.server.service import StorageService
from privacyplease.server.store import Store
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc

# A caller that keeps the server waiting for so long, for the message of its call or for taking the answer, is cut off.
STALL_SECONDS = 60.0

_WATCHES, _CHECKS, _DESCRIPTIONS, _REFLECTIONS = 16, 8, 4, 4
_BRIEF_SECONDS = 5.0

SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much the server does at once.

    Attributes:
        reads: selections and measurements that run at the same time.
        writes: appends and deletions, likewise.
        seconds: how long one of them may take.
    """

    reads: int = 16
    writes: int = 16
    seconds: int = 120

    def __post_init__(self) -> None:
        """Raises StartError for numbers that let nothing run."""
        for name, number in asdict(self).items():
            if number < 1:
                raise StartError(f"{name}: expected at least 1, got {number:,}")

    @property
    def connections(self) -> int:
        """Connections to the database that all of it needs: no call ever waits for another one's."""
        return self.reads + self.writes + _DESCRIPTIONS


def build_server(
    store: Store,
    limits: Limits,
    *,
    load: Load | None = None,
    certificates: Path | None = None,
    metrics: Metrics | None = None,
) -> StorageServer:
    """A server over a store, not yet bound to a port.

    Args:
        store: where the cells are, with a connection for each of `load.connections`; the caller closes it after the
            server has stopped.
        limits: bounds of one call.
        load: how many calls run at the same time, and for how long.
        certificates: folder of its certificate (`credentials.py`); None for plaintext, on loopback alone.
        metrics: what counts the calls and the cells; None if nobody asks.
    """
    admission = Admission(_kinds(load or Load()), STALL_SECONDS)
    metrics = metrics or Metrics()
    observed = Observed(metrics.called, logs.refused)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=admission.threads, thread_name_prefix="call"),
        options=[
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),  # a page is bounded by page_bytes and the largest cell
            ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share its calls
            # Certificates are looked at when a connection begins: one that has expired since is good for an hour at
            # most. Calls that run are not cut off.
            ("grpc.max_connection_age_ms", 3_600_000),
        ],
        interceptors=[observed, ProxyAlone(), admission] if certificates else [observed, admission],
    )
    rpc.add_StorageServiceServicer_to_server(StorageService(MeteredStore(store, metrics), limits), server)
    return StorageServer(server, admission, certificates)


def _kinds(load: Load) -> tuple[Kind, ...]:
    reads = tuple(f"/{SERVICE}/{method}" for method in ("Select", "Measure"))
    return (
        Kind((f"/{health.SERVICE_NAME}/Watch",), _WATCHES, None, last=True),
        Kind((f"/{health.SERVICE_NAME}/",), _CHECKS, _BRIEF_SECONDS, last=True),
        Kind((f"/{SERVICE}/Describe",), _DESCRIPTIONS, _BRIEF_SECONDS),
        Kind(("/grpc.reflection.",), _REFLECTIONS, _BRIEF_SECONDS),
        Kind(reads, load.reads, load.seconds),
        Kind((f"/{SERVICE}/",), load.writes, load.seconds),
    )


class StorageServer:
    """A gRPC server that knows whether it is healthy.

    Example:
        server = build_server(store, Limits())
        address = server.bind("127.0.0.1:0")
        server.start()
        ...
        server.stop(grace_seconds=10)
    """

    def __init__(self, server: grpc.Server, admission: Admission, certificates: Path | None) -> None:
        self._server = server
        self._admission = admission
        self._certificates = certificates
        # Blocking: its other way lets a watcher that leaves while another comes stop the whole server, for one holds
        # the lock that the other needs in gRPC's only thread (grpcio-health-checking 1.8x, `HealthServicer.Watch`).
        self._health = health.HealthServicer(experimental_non_blocking=False)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    def bind(self, listen: str) -> str:
        """Binds the port, here and nowhere else, and returns the address with the port that was chosen.

        Args:
            listen: `host:port`; port 0 lets the system choose.

        Raises:
            StartError: the address cannot be bound, the certificates cannot be used, or plaintext would leave this
                machine.
        """
        if self._certificates is None and not is_loopback(listen):
            raise StartError(f"--insecure is for loopback alone, got {listen}; elsewhere give certificates")
        credentials = server_credentials(self._certificates) if self._certificates else None
        try:
            port = self._add_port(listen, credentials)
        except RuntimeError:
            raise StartError(f"cannot listen on {listen}: expected HOST:PORT, free and of this machine") from None
        return f"{listen.rpartition(':')[0]}:{port}"

    def _add_port(self, listen: str, credentials: grpc.ServerCredentials | None) -> int:
        if credentials is None:
            return self._server.add_insecure_port(listen)
        return self._server.add_secure_port(listen, credentials)

    def start(self) -> None:
        """Begins to serve, and says so to health checks."""
        self._admission.start()
        self._server.start()
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_seconds: float, lame_duck_seconds: float = 0.0) -> None:
        """Ends in good order.

        Says NOT_SERVING; refuses new calls after `lame_duck_seconds`; returns when the running ones have ended or the
        grace is over.
        """
        self._health.enter_graceful_shutdown()
        time.sleep(lame_duck_seconds)
        self._admission.stop()
        self._server.stop(grace_seconds).wait()
        self._admission.end()
