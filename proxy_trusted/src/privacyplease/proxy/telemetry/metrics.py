"""Prometheus metrics of the proxy. `docs/OPERATIONS.md` says what each metric means.

Labels come from closed sets: names of rpcs, of status codes, of reasons. None ever holds a tag, a device, a place or
the name of a data set or a client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import version

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.telemetry.activity import StoredBatch
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.proxy.v1 import (
    occupancy_service_pb2,
    presence_service_pb2,
    query_service_pb2,
    stations_service_pb2,
)
from privacyplease.transport.call_log import SECONDS_BUCKETS, FinishedCall, methods
from privacyplease.transport.loopback import serve_metrics

QUESTIONS = frozenset(
    methods(
        (
            occupancy_service_pb2.DESCRIPTOR,
            presence_service_pb2.DESCRIPTOR,
            query_service_pb2.DESCRIPTOR,
            stations_service_pb2.DESCRIPTOR,
        )
    ).values()
) - {"QueryService/ListDatasets"}
"""The rpcs that fetch cells to answer."""

_REASONS = tuple(name for name, number in reasons.ErrorReason.items() if number)
_CELLS = tuple(4**power for power in range(11))
_BYTES = tuple(4**power * 256 for power in range(13))


class Metrics:
    """The metrics of one proxy. Safe to use from many threads."""

    def __init__(self, known: Iterable[str]) -> None:
        """Initialises the metrics.

        Args:
            known: The names of the rpcs, which are labels.
        """
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        about = gauge("privacyplease_proxy_info", "Always 1; the label is the version.", ["version"])
        about.labels(version("privacyplease-proxy")).set(1)
        self.locked = gauge("privacyplease_proxy_locked", "1 if the proxy is locked and answers nothing.")
        self._calls = counter("privacyplease_proxy_calls", "Calls that have ended.", ["method", "code"])
        self._refusals = counter("privacyplease_proxy_refusals", "Calls refused or failed, by reason.", ["reason"])
        self._seconds = histogram(
            "privacyplease_proxy_call_seconds", "How long calls took, in seconds.", ["method"], buckets=SECONDS_BUCKETS
        )
        self._cells = histogram(
            "privacyplease_proxy_question_cells", "Cells fetched for a question.", ["method"], buckets=_CELLS
        )
        self._bytes = histogram(
            "privacyplease_proxy_question_bytes",
            "Ciphertext fetched for a question, in bytes.",
            ["method"],
            buckets=_BYTES,
        )
        self._batches = counter("privacyplease_proxy_batches", "Durable batches of records.")
        self._records = counter("privacyplease_proxy_records", "Records of durable batches.", ["outcome"])
        self._appended = counter("privacyplease_proxy_cells_appended", "Cells that the storage server has stored.")
        self._appended_bytes = counter("privacyplease_proxy_bytes_appended", "Ciphertext of these cells, in bytes.")
        self._storage_seconds = histogram(
            "privacyplease_proxy_storage_call_seconds",
            "How long calls to the storage server took, with gRPC's retries, in seconds.",
            ["method", "code"],
            buckets=SECONDS_BUCKETS,
        )
        ProcessCollector(registry=self.registry)
        self._start_at_zero(known)

    def called(self, call: FinishedCall) -> None:
        """Counts a call that has ended."""
        self._calls.labels(call.method, call.code.name).inc()
        self._seconds.labels(call.method).observe(call.seconds)
        if call.reason in _REASONS:
            self._refusals.labels(call.reason).inc()
        if call.method in QUESTIONS:
            self._cells.labels(call.method).observe(call.cells)
            self._bytes.labels(call.method).observe(call.bytes)

    def ingested(self, batch: StoredBatch) -> None:
        """Counts a batch that has become durable."""
        self._batches.inc()
        self._records.labels("accepted").inc(batch.accepted)
        self._records.labels("rejected").inc(batch.rejected)

    def stored(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Counts a call to the storage server; `method` is an rpc of its contract."""
        self._storage_seconds.labels(method, code.name).observe(seconds)

    def appended(self, cells: int, size: int) -> None:
        """Counts cells that the storage server has stored."""
        self._appended.inc(cells)
        self._appended_bytes.inc(size)

    def watch(self, state: Callable[[], Iterable[Metric]]) -> None:
        """Adds metrics that are computed each time they are scraped."""
        self.registry.register(_Watched(state))

    def _start_at_zero(self, known: Iterable[str]) -> None:
        """Creates every series at zero: a rate over one that appears with its first event would miss that event."""
        for method in known:
            self._calls.labels(method, grpc.StatusCode.OK.name)
            self._seconds.labels(method)
        for reason in _REASONS:
            self._refusals.labels(reason)
        for question in QUESTIONS:
            self._cells.labels(question)
            self._bytes.labels(question)
        for outcome in ("accepted", "rejected"):
            self._records.labels(outcome)


class _Watched(Collector):
    """Metrics that are computed when they are scraped."""

    def __init__(self, state: Callable[[], Iterable[Metric]]) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        return self._state()


def publish(metrics: Metrics, listen: str) -> str:
    """Serves the metrics over HTTP at `listen` (HOST:PORT, only on loopback) and returns the address with its port.

    Raises:
        ConfigurationError: The address is not on loopback, or cannot be bound.
    """

    def serve(port: int, host: str) -> int:
        server, _ = start_http_server(port, host, metrics.registry)
        return server.server_port

    return serve_metrics(listen, serve, ConfigurationError)
