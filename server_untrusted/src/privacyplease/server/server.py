"""The gRPC server around the service: health, reflection, the port, start and stop."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from privacyplease.server.errors import StartError
from privacyplease.server.identity import OnlyProxy
from privacyplease.server.limits import Limits
from privacyplease.server.metered import MeteredStore
from privacyplease.server.metrics import METHODS, Metrics
from privacyplease.server.service import StorageService
from privacyplease.server.status import REFUSALS
from privacyplease.server.store import Store
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc
from privacyplease.transport.admission import Admission
from privacyplease.transport.call_log import CallLog, log_failure
from privacyplease.transport.credentials import server_credentials
from privacyplease.transport.loopback import require_loopback
from privacyplease.transport.server_options import NON_BLOCKING_HEALTH, SERVER_OPTIONS
from privacyplease.transport.slots import CallKind

# A caller that keeps the server waiting for this long, for its message or for reading the answer, is cut off.
STALL_SECONDS = 60.0

_WATCHES, _CHECKS, _DESCRIPTIONS, _REFLECTIONS = 16, 8, 4, 4
_BRIEF_SECONDS = 5.0
# The message of a write is up to 32 MiB of cells, and the proxy may be on a slow line.
_CELLS_SECONDS = STALL_SECONDS

SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much the server does at once.

    Attributes:
        reads: Slots for selections and measurements.
        writes: Slots for appends and deletions.
        seconds: How long one of these calls may take.
    """

    reads: int = 16
    writes: int = 16
    seconds: int = 120

    def __post_init__(self) -> None:
        """Raises StartError for numbers below 1."""
        for name, number in asdict(self).items():
            if number < 1:
                raise StartError(f"{name}: expected at least 1, got {number:,}")

    @property
    def connections(self) -> int:
        """How many database connections that takes, so that no call ever waits for one."""
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
        store: Where the cells are, with at least `load.connections` connections; the caller closes it after the server
            has stopped.
        limits: The bounds of one call.
        load: How many calls run at the same time, and for how long.
        certificates: Folder of its certificate (`transport.credentials`); None for plaintext on loopback.
        metrics: What counts calls and cells; by default, metrics of the server's own.
    """
    # Neither a gate nor a part of the slots for each identity: `OnlyProxy` lets in a single identity, before admission.
    admission = Admission(_kinds(load or Load()), REFUSALS, STALL_SECONDS)
    metrics = metrics or Metrics()
    call_log = CallLog(METHODS, metrics.called, log_failure)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=admission.threads, thread_name_prefix="call"),
        options=[
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),  # a page is bounded by page_bytes and the largest cell
            *SERVER_OPTIONS,
        ],
        interceptors=[call_log, OnlyProxy(), admission] if certificates else [call_log, admission],
    )
    rpc.add_StorageServiceServicer_to_server(StorageService(MeteredStore(store, metrics), limits), server)
    return StorageServer(server, admission, certificates)


def _kinds(load: Load) -> tuple[CallKind, ...]:
    reads = tuple(f"/{SERVICE}/{method}" for method in ("Select", "Measure"))
    return (
        CallKind("watch", (f"/{health.SERVICE_NAME}/Watch",), _WATCHES, None, while_stopping=True),
        CallKind("health", (f"/{health.SERVICE_NAME}/",), _CHECKS, _BRIEF_SECONDS, while_stopping=True),
        CallKind("description", (f"/{SERVICE}/Describe",), _DESCRIPTIONS, _BRIEF_SECONDS),
        CallKind("reflection", ("/grpc.reflection.",), _REFLECTIONS, _BRIEF_SECONDS),
        CallKind("read", reads, load.reads, load.seconds),
        CallKind("write", (f"/{SERVICE}/",), load.writes, load.seconds, message_seconds=_CELLS_SECONDS),
    )


class StorageServer:
    """A gRPC server that reports its health.

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
        self._health = health.HealthServicer(experimental_non_blocking=NON_BLOCKING_HEALTH)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    def bind(self, listen: str) -> str:
        """Binds the port, which no other server may share, and returns HOST:PORT with the port that was chosen.

        Args:
            listen: HOST:PORT; port 0 chooses a free one.

        Raises:
            StartError: The address cannot be bound, the certificates cannot be used, or plaintext was asked for beyond
                loopback.
        """
        if self._certificates is None:
            require_loopback(listen, StartError)
        credentials = server_credentials(self._certificates, StartError) if self._certificates else None
        try:
            port = self._add_port(listen, credentials)
        except RuntimeError:
            raise StartError(
                f"cannot listen on {listen}: expected HOST:PORT of this machine, with a free port"
            ) from None
        return f"{listen.rpartition(':')[0]}:{port}"

    def _add_port(self, listen: str, credentials: grpc.ServerCredentials | None) -> int:
        if credentials is None:
            return self._server.add_insecure_port(listen)
        return self._server.add_secure_port(listen, credentials)

    def start(self) -> None:
        """Starts serving, and reports SERVING to health checks."""
        self._admission.start()
        self._server.start()
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_seconds: float, lame_duck_seconds: float = 0.0) -> None:
        """Shuts down gracefully.

        Reports NOT_SERVING; refuses new calls after `lame_duck_seconds`; returns when the running calls have ended, at
        the latest after `grace_seconds` more.
        """
        self._health.enter_graceful_shutdown()
        time.sleep(lame_duck_seconds)
        self._admission.stop()
        self._server.stop(grace_seconds).wait()
        self._admission.end()
