"""The consumer's Prometheus metrics. `docs/OPERATIONS.md` says what each of them means."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from privacyplease.ingest.errors import SettingsError
from privacyplease.transport.loopback import serve_metrics

__all__ = ["ConsumerMetrics"]

_COUNTED = {
    "consumed": "Messages read.",
    "stored": "Records that are durable.",
    "dead_letters": "Messages written to the dead letter topic.",
    "retries": "Failed attempts to reach Kafka or the proxy.",
}


class ConsumerMetrics(Collector):
    """What a run has counted and how far it lags behind, read at each scrape.

    Args:
        counts: Returns what has become of the messages, by the names of `_COUNTED`.
        lag: Returns how many messages of each partition are not committed.
    """

    def __init__(self, counts: Callable[[], Mapping[str, int]], lag: Callable[[], Mapping[int, int]]) -> None:
        self._counts, self._lag = counts, lag
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Nothing: to be registered must not ask Kafka."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The metrics, as of now."""
        counts = self._counts()
        for name, text in _COUNTED.items():
            yield CounterMetricFamily(f"privacyplease_consumer_{name}", text, value=counts[name])
        behind = GaugeMetricFamily(
            "privacyplease_consumer_lag_messages", "Messages in the topic that are not committed.", labels=["partition"]
        )
        for partition, messages in sorted(self._lag().items()):
            behind.add_metric([str(partition)], messages)
        yield behind

    def publish(self, listen: str) -> str:
        """Serves the metrics over HTTP at HOST:PORT on loopback, and returns the address with its port.

        Raises:
            SettingsError: The address is not on loopback, or cannot be bound.
        """
        return serve_metrics(
            listen, lambda port, host: int(start_http_server(port, host, self.registry)[0].server_port), SettingsError
        )
