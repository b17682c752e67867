"""The gRPC server around the service: health, reflection, the port, and how it begins and ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from privacyplease.server.errors import StartError
from privacyplease.server.limits import Limits
from privacyplease.server.service import StorageService
from privacyplease.server.store import Store
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc

SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"].full_name


def build_server(store: Store, limits: Limits, *, workers: int = 16) -> StorageServer:
    """A server over a store, not yet bound to a port.

    Args:
        store: where the cells are; the caller closes it after the server has stopped.
        limits: bounds of one call.
        workers: calls served at the same time; a running stream is one.
    """
    server = grpc.server(
        ThreadPoolExecutor(max_workers=workers, thread_name_prefix="call"),
        options=[
            ("grpc.max_receive_message_length", limits.max_message_bytes),
            ("grpc.max_send_message_length", -1),  # a page is bounded by page_bytes and the largest cell
            ("grpc.so_reuseport", 0),  # a second server on the same port must fail, not share its calls
        ],
    )
    rpc.add_StorageServiceServicer_to_server(StorageService(store, limits), server)
    return StorageServer(server)


class StorageServer:
    """A gRPC server that knows whether it is healthy.

    Example:
        server = build_server(store, Limits())
        address = server.bind("127.0.0.1:0")
        server.start()
        ...
        server.stop(grace_seconds=10)
    """

    def __init__(self, server: grpc.Server) -> None:
        self._server = server
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)

    def bind(self, listen: str) -> str:
        """Binds the port, here and nowhere else, and returns the address with the port that was chosen.

        Args:
            listen: `host:port`; port 0 lets the system choose.

        Raises:
            StartError: the address cannot be bound.
        """
        try:
            port = self._server.add_insecure_port(listen)
        except RuntimeError:
            raise StartError(f"cannot listen on {listen}: expected HOST:PORT, free and of this machine") from None
        return f"{listen.rpartition(':')[0]}:{port}"

    def start(self) -> None:
        """Begins to serve, and says so to health checks."""
        self._server.start()
        for service in ("", SERVICE):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_seconds: float) -> None:
        """Says NOT_SERVING, takes no new call, and returns when the running ones have ended or the grace is over."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
