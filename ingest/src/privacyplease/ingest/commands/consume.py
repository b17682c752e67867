"""`privacyplease ingest consume`: records from Kafka to the proxy."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from privacyplease.cli.connection import connect
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Topic, explained

__all__ = ["register"]


def consume(
    context: typer.Context,
    bootstrap: Bootstrap,
    topic: Topic,
    dataset: Annotated[str, typer.Option(metavar="wifi|bikes", help="What the messages are.")],
    group: Annotated[str, typer.Option(metavar="G", help="Consumers of one group share the partitions.")],
    flush_records: Annotated[
        int, typer.Option(min=1, max=50_000, metavar="N", help="Send a batch when it has so many messages,")
    ] = 5_000,
    flush_ms: Annotated[
        int, typer.Option(min=1, max=60_000, metavar="MS", help="or after so many milliseconds.")
    ] = 500,
    timezone: Annotated[
        str | None, typer.Option(metavar="Z", help="Zone of times that do not tell theirs, as Europe/Vienna or +01:00.")
    ] = None,
    kafka_config: KafkaConfig = None,
) -> None:
    """Consume records from Kafka, until SIGTERM or Ctrl-C. Start several to share the work.

    Offsets are committed when the records are durable. What is away is waited for. Bad records go to the topic
    T.dlq, sealed; see `privacyplease ingest dlq`.

    Example: privacyplease ingest consume --bootstrap localhost:9092 --topic wifi --dataset wifi --group building
    """
    from privacyplease.ingest.broker import settings
    from privacyplease.ingest.consumer import Consumption, Task
    from privacyplease.ingest.stopping import stop_on_signal
    from privacyplease.ingest.wifi import zone_named

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    with explained(), connect(context) as client, stop_on_signal() as stop:
        zone = zone_named(timezone) if timezone else None
        task = Task(topic, dataset, group, flush_records, flush_ms / 1_000, zone)
        Consumption(client, settings(bootstrap, kafka_config), task).run(stop)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(consume)
