"""The server's Prometheus metrics. `docs/OPERATIONS.md` says what each of them means.

Labels come from closed sets: names of rpcs, of status codes, of operations. None ever holds a tag.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from privacyplease.server.errors import StartError
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.transport import credentials
from privacyplease.transport.call_log import SECONDS_BUCKETS, FinishedCall
from privacyplease.transport.certificate_expiry import days_left
from privacyplease.transport.loopback import serve_metrics

_SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"]

METHODS = {f"/{_SERVICE.full_name}/{method.name}": method.name for method in _SERVICE.methods}
"""The name of each rpc by its path, as metrics and log show it."""

OPERATIONS = ("appended", "selected", "deleted")
"""What can be done to cells."""

SIZED_OPERATIONS = ("appended", "selected")
"""Operations whose size in bytes is known: a database does not report the size of what it deletes."""

STORE_ERRORS = ("unavailable", "unforeseen")
"""Why the store failed: the database was unavailable, or for an unexpected reason."""


_CERTIFICATES = {"own": credentials.CERTIFICATE, "authority": credentials.AUTHORITY}


class Metrics:
    """The metrics of one server. Safe to use from many threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        about = gauge("privacyplease_server_info", "Always 1; the label is the version.", ["version"])
        about.labels(version("privacyplease-server")).set(1)
        self._calls = counter("privacyplease_server_calls", "Calls that have ended.", ["method", "code"])
        self._retried = counter("privacyplease_server_retried_calls", "Calls that the proxy had tried before.")
        self._seconds = Histogram(
            "privacyplease_server_call_seconds",
            "How long calls took, in seconds.",
            ["method"],
            registry=self.registry,
            buckets=SECONDS_BUCKETS,
        )
        self._cells = counter("privacyplease_server_cells", "Cells, by what was done to them.", ["operation"])
        self._bytes = counter(
            "privacyplease_server_bytes", "Ciphertext by what was done to it, in bytes.", ["operation"]
        )
        self._errors = counter("privacyplease_server_store_errors", "Errors of the store, by kind.", ["kind"])
        self._connections = gauge("privacyplease_server_store_connections", "Database connections in use.")
        self._free = gauge(
            "privacyplease_server_store_free_bytes",
            "Free on the disk of an SQLite store, in bytes; NaN for a database of its own.",
        )
        self._days_left = gauge(
            "privacyplease_server_certificate_days_left",
            "Days until a certificate expires; 0 if its file cannot be read, NaN in plaintext.",
            ["certificate"],
        )
        ProcessCollector(registry=self.registry)
        self._start_series()

    def called(self, call: FinishedCall) -> None:
        """Counts a call that has ended."""
        self._calls.labels(call.method, call.code.name).inc()
        self._seconds.labels(call.method).observe(call.seconds)
        if call.retried:
            self._retried.inc()

    def done(self, operation: str, cells: int, size: int = 0) -> None:
        """Counts what was done to cells; `operation` is one of `OPERATIONS`, `size` is in bytes of ciphertext."""
        self._cells.labels(operation).inc(cells)
        if operation in SIZED_OPERATIONS:
            self._bytes.labels(operation).inc(size)

    def failed(self, kind: str) -> None:
        """Counts a failure of the store; `kind` is one of `STORE_ERRORS`."""
        self._errors.labels(kind).inc()

    def watch(self, connections: Callable[[], int], free_bytes: Callable[[], float]) -> None:
        """Reports what is read at each scrape.

        Args:
            connections: Returns the number of database connections in use.
            free_bytes: Returns how much is free on the store's disk; NaN if that is unknown.
        """
        self._connections.set_function(connections)
        self._free.set_function(free_bytes)

    def watch_certificates(self, folder: Path) -> None:
        """Reports how long the certificates of a folder are still valid, read at each scrape."""
        for name, file in _CERTIFICATES.items():
            self._days_left.labels(name).set_function(partial(_days_left_now, folder / file))

    def _start_series(self) -> None:
        """Starts each series at 0: a rate over a series that appears with its first event would miss that event."""
        for method in METHODS.values():
            self._calls.labels(method, grpc.StatusCode.OK.name)
            self._seconds.labels(method)
        for operation in OPERATIONS:
            self._cells.labels(operation)
        for operation in SIZED_OPERATIONS:
            self._bytes.labels(operation)
        for kind in STORE_ERRORS:
            self._errors.labels(kind)
        for name in _CERTIFICATES:
            self._days_left.labels(name).set(math.nan)


def _days_left_now(file: Path) -> float:
    return days_left(file, time.time())


def publish(metrics: Metrics, listen: str) -> str:
    """Serves the metrics over HTTP and returns HOST:PORT with the port that was chosen.

    Args:
        metrics: The metrics.
        listen: HOST:PORT on loopback; port 0 chooses a free one.

    Raises:
        StartError: The address is not on loopback, or cannot be bound.
    """

    def serve(port: int, host: str) -> int:
        server, _ = start_http_server(port, host, metrics.registry)
        return server.server_port

    return serve_metrics(listen, serve, StartError)
