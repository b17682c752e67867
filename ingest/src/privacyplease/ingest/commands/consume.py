"""`privacyplease ingest consume`: records from Kafka to the proxy."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli.connection import connect
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Timezone, Topic, reported_errors
from privacyplease.ingest.errors import SettingsError

if TYPE_CHECKING:
    from privacyplease.ingest.kafka.consumer import ConsumerRun

__all__ = ["register"]


def consume(
    context: typer.Context,
    bootstrap: Bootstrap,
    topic: Topic,
    dataset: Annotated[str, typer.Option(metavar="wifi|bikes", help="The data set that the messages belong to.")],
    group: Annotated[str, typer.Option(metavar="G", help="The consumer group; its members share the partitions.")],
    flush_records: Annotated[
        int, typer.Option(min=1, max=50_000, metavar="N", help="Send a batch once it has this many messages,")
    ] = 5_000,
    flush_ms: Annotated[
        int, typer.Option(min=1, max=60_000, metavar="MS", help="or after this many milliseconds.")
    ] = 500,
    timezone: Timezone = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve Prometheus metrics there, on loopback.")
    ] = None,
    kafka_config: KafkaConfig = None,
) -> None:
    """Consume records from Kafka, until SIGTERM or Ctrl-C. Start several to share the work.

    Offsets are committed once the records are durable. While Kafka or the proxy is unavailable it keeps retrying.
    Rejected records go to the topic T.dlq, sealed; see `privacyplease ingest dlq`.

    Example: privacyplease ingest consume --bootstrap localhost:9092 --topic wifi --dataset wifi --group building
    """
    from privacyplease.ingest.kafka.broker import settings
    from privacyplease.ingest.kafka.consumer import ConsumerOptions, ConsumerRun
    from privacyplease.ingest.wifi import zone_named
    from privacyplease.transport import log_format
    from privacyplease.transport.stop_signals import stop_on_signal

    log_format.configure(log_format.LogFormat.TEXT)
    with reported_errors(), connect(context) as client, stop_on_signal() as stop:
        zone = zone_named(timezone) if timezone else None
        options = ConsumerOptions(topic, dataset, group, flush_records, flush_ms / 1_000, zone)
        run = ConsumerRun(client, settings(bootstrap, kafka_config), options)
        if metrics:
            _publish(run, metrics)
        run.run(stop)


def _publish(run: ConsumerRun, listen: str) -> None:
    try:
        from privacyplease.ingest.kafka.consumer.metrics import ConsumerMetrics
    except ModuleNotFoundError:
        raise SettingsError("expected the extra privacyplease-ingest[metrics] to be installed") from None
    logging.getLogger("privacyplease.ingest.kafka.consumer").info(
        "metrics: http://%s/metrics", ConsumerMetrics(lambda: run.counts, run.lag).publish(listen)
    )


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(consume)
