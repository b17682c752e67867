"""The gRPC server around the service: health, reflection, the port, and how it begins and ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from privacyplease.server import logs
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

SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"].full_name


def build_server(
    store: Store,
    limits: Limits,
    *,
    workers: int = 16,
    certificates: Path | None = None,
    metrics: Metrics | None = None,
) -> StorageServer:
    """A server over a store, not yet bound to a port.

    Args:
        store: where the cells are; the caller closes it after the server has stopped.
        limits: bounds of one call.
        workers: calls served at the same time; a running stream is one.
        certificates: folder of its certificate (`credentials.py`); None for plaintext, on loopback alone.
        metrics: what counts the calls and the cells; None if nobody asks.
    """
    metrics = metrics or Metrics()
    observed = Observed(metrics.called, logs.refused)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=workers, thread_name_prefix="call"),
        options=[
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),  # a page is bounded by page_bytes and the largest cell
            ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share its calls
            # Certificates are looked at when a connection begins: one that has expired since is good for an hour at
            # most. Calls that run are not cut off.
            ("grpc.max_connection_age_ms", 3_600_000),
        ],
        interceptors=[observed, ProxyAlone()] if certificates else [observed],
    )
    rpc.add_StorageServiceServicer_to_server(StorageService(MeteredStore(store, metrics), limits), server)
    return StorageServer(server, certificates)


class StorageServer:
    """A gRPC server that knows whether it is healthy.

    Example:
        server = build_server(store, Limits())
        address = server.bind("127.0.0.1:0")
        server.start()
        ...
        server.stop(grace_seconds=10)
    """

    def __init__(self, server: grpc.Server, certificates: Path | None) -> None:
        self._server = server
        self._certificates = certificates
        self._health = health.HealthServicer()
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
        self._server.start()
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_seconds: float) -> None:
        """Says NOT_SERVING, takes no new call, and returns when the running ones have ended or the grace is over."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
