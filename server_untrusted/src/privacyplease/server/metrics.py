"""What this server counts, for Prometheus. `docs/OPERATIONS.md` says what each metric means.

Labels come from closed sets: names of rpcs, of status codes, of operations. None ever holds a tag.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from privacyplease.server.calls import METHODS, Call
from privacyplease.server.credentials import is_loopback
from privacyplease.server.errors import StartError

OPERATIONS = ("appended", "selected", "deleted")
"""What is done to cells."""

WEIGHED = ("appended", "selected")
"""Those of which the size is known: a database does not tell the size of what it removes."""

STORE_ERRORS = ("unavailable", "unforeseen")
"""Why the store did not do something: the database was unavailable, or it is an error that nobody foresaw."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one server. Safe to use from many threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        about = gauge("privacyplease_server_info", "Always 1; the label is the version.", ["version"])
        about.labels(version("privacyplease-server")).set(1)
        self._calls = counter("privacyplease_server_calls", "Calls that have ended.", ["method", "code"])
        self._retried = counter("privacyplease_server_retried_calls", "Calls that the proxy has tried before.")
        self._seconds = Histogram(
            "privacyplease_server_call_seconds",
            "How long calls took.",
            ["method"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._cells = counter("privacyplease_server_cells", "Cells, by what was done to them.", ["operation"])
        self._bytes = counter("privacyplease_server_bytes", "Ciphertext, by what was done to it.", ["operation"])
        self._errors = counter("privacyplease_server_store_errors", "What the store did not do.", ["kind"])
        self._connections = gauge("privacyplease_server_store_connections", "Database connections in use.")
        ProcessCollector(registry=self.registry)
        self._begin_at_nought()

    def called(self, call: Call) -> None:
        """Counts a call that has ended."""
        self._calls.labels(call.method, call.code.name).inc()
        self._seconds.labels(call.method).observe(call.seconds)
        if call.retried:
            self._retried.inc()

    def done(self, operation: str, cells: int, size: int = 0) -> None:
        """Counts what was done to cells; `operation` is one of `OPERATIONS`, `size` is in bytes of ciphertext."""
        self._cells.labels(operation).inc(cells)
        if operation in WEIGHED:
            self._bytes.labels(operation).inc(size)

    def failed(self, kind: str) -> None:
        """Counts something that the store did not do; `kind` is one of `STORE_ERRORS`."""
        self._errors.labels(kind).inc()

    def watch(self, connections: Callable[[], int]) -> None:
        """Takes what tells, whenever it is asked, how many database connections are in use."""
        self._connections.set_function(connections)

    def _begin_at_nought(self) -> None:
        """A rate over a series that appears with its first event would miss that event."""
        for method in METHODS.values():
            self._calls.labels(method, grpc.StatusCode.OK.name)
            self._seconds.labels(method)
        for operation in OPERATIONS:
            self._cells.labels(operation)
        for operation in WEIGHED:
            self._bytes.labels(operation)
        for kind in STORE_ERRORS:
            self._errors.labels(kind)


def publish(metrics: Metrics, listen: str) -> str:
    """Serves the metrics over HTTP at `listen` (host:port, of loopback alone) and returns that with its port.

    Raises:
        StartError: The address is not of loopback, or cannot be bound.
    """
    host, _, port = listen.rpartition(":")
    if not is_loopback(listen) or not port.isdigit():
        raise StartError(f"--metrics is for loopback alone, expected HOST:PORT of it, got {listen}")
    try:
        server, _ = start_http_server(int(port), host.strip("[]"), metrics.registry)
    except OSError as error:
        raise StartError(f"cannot serve metrics on {listen}: {error.strerror}") from None
    return f"{host}:{server.server_port}"
