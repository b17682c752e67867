"""The progress of a query: how far it has read, how far it lags behind, and what has become of the messages."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from pyspark.sql.streaming.listener import (
    QueryIdleEvent,
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from privacyplease.ingest.errors import SettingsError
from privacyplease.ingest.spark.lag import lag
from privacyplease.ingest.spark.task import TaskCounts
from privacyplease.transport.loopback import serve_metrics

__all__ = ["Progress"]

_log = logging.getLogger("privacyplease.ingest.spark")

_REPORT_S = 60.0


class Progress(StreamingQueryListener, Collector):
    """Listens to a query, logs how it proceeds, and has its metrics.

    Args:
        counts: Gives what the sink has counted so far.

    Attributes:
        batches: How many batches were committed.
        consumed: How many messages they had.
    """

    def __init__(self, counts: Callable[[], TaskCounts]) -> None:
        self._counts = counts
        self._changed = threading.Condition()
        self._reported = time.monotonic()
        self.batches = 0
        self.consumed = 0
        self._terminated = False
        self._registry = CollectorRegistry()
        self._lag = Gauge(
            "privacyplease_spark_lag_messages",
            "Messages in the topic that no committed batch has read.",
            ["partition"],
            registry=self._registry,
        )
        self._seconds = Gauge(
            "privacyplease_spark_batch_seconds", "Duration of the last batch.", registry=self._registry
        )
        self._registry.register(self)

    @property
    def summary(self) -> str:
        """What was consumed, and what has become of it."""
        counts = self._counts()
        return f"consumed {self.consumed:,}, stored {counts.stored:,}, dead letters {counts.rejected:,}"

    def serve(self, listen: str) -> str:
        """Serves the metrics over HTTP, and returns HOST:PORT.

        Raises:
            SettingsError: It is not an address on loopback, or cannot be bound.
        """

        def start(port: int, host: str) -> int:
            return int(start_http_server(port, host, self._registry)[0].server_port)

        return serve_metrics(listen, start, SettingsError)

    def collect(self) -> list[Metric]:
        """What is counted elsewhere, as metrics."""
        counts = self._counts()
        values = {
            "consumed": (self.consumed, "Messages read by committed batches."),
            "stored": (counts.stored, "Records that are durable, of committed batches."),
            "dead_letters": (counts.rejected, "Messages written to the dead letter topic, of committed batches."),
            "batches": (self.batches, "Committed batches."),
        }
        return [
            CounterMetricFamily(f"privacyplease_spark_{name}", text, value=value)
            for name, (value, text) in values.items()
        ]

    def wait_for_batch(self, seen: int, seconds: float) -> bool:
        """Waits until more batches are committed than were seen; returns whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self.batches > seen, seconds)

    def wait_for_end(self, seconds: float) -> bool:
        """Waits until the query has ended and each batch was counted: Spark tells of both later than they happen."""
        with self._changed:
            return self._changed.wait_for(lambda: self._terminated, seconds)

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802  # Spark's name
        """Takes note that batches follow."""
        with self._changed:
            self._terminated = False

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802
        """Takes note of a batch that was committed."""
        progress = event.progress
        with self._changed:
            self.batches += 1
            self.consumed += progress.numInputRows
            self._changed.notify_all()
        self._seconds.set(progress.batchDuration / 1_000)
        for source in progress.sources:
            for partition, behind in lag(source.endOffset, source.latestOffset).items():
                self._lag.labels(partition).set(behind)
        if time.monotonic() - self._reported > _REPORT_S:
            self._reported = time.monotonic()
            _log.info("%s", self.summary)

    def onQueryIdle(self, event: QueryIdleEvent) -> None:  # noqa: N802
        """Does nothing: the last batch has read everything."""

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802
        """Takes note that no more batches follow."""
        with self._changed:
            self._terminated = True
            self._changed.notify_all()
