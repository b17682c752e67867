"""`privacyplease ingest consume`: records from Kafka to the proxy."""

from __future__ import annotations

from typing import Annotated

import typer

from privacyplease.cli.connection import connect
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Timezone, Topic, reported_errors

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
    kafka_config: KafkaConfig = None,
) -> None:
    """Consume records from Kafka, until SIGTERM or Ctrl-C. Start several to share the work.

    Offsets are committed once the records are durable. While Kafka or the proxy is unavailable it keeps retrying.
    Rejected records go to the topic T.dlq, sealed; see `privacyplease ingest dlq`.

    Example: privacyplease ingest consume --bootstrap localhost:9092 --topic wifi --dataset wifi --group building
    """
    from privacyplease.ingest.commands.stopping import stop_on_signal
    from privacyplease.ingest.kafka.broker import settings
    from privacyplease.ingest.kafka.consumer import ConsumerOptions, ConsumerRun
    from privacyplease.ingest.wifi import zone_named
    from privacyplease.transport import log_format

    log_format.configure(log_format.LogFormat.TEXT)
    with reported_errors(), connect(context) as client, stop_on_signal() as stop:
        zone = zone_named(timezone) if timezone else None
        options = ConsumerOptions(topic, dataset, group, flush_records, flush_ms / 1_000, zone)
        ConsumerRun(client, settings(bootstrap, kafka_config), options).run(stop)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(consume)
