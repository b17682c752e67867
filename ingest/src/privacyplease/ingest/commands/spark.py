"""`privacyplease ingest spark`: records from Kafka to the proxy, by Apache Spark."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from privacyplease.cli.connection import connection_options
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.failures import CommandError
from privacyplease.ingest.commands.options import Bootstrap, KafkaConfig, Timezone, Topic, reported_errors

__all__ = ["register"]

_EVERY = re.compile(r"(\d{1,6})(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def spark(
    context: typer.Context,
    bootstrap: Bootstrap,
    topic: Topic,
    dataset: Annotated[str, typer.Option(metavar="wifi|bikes", help="The data set that the messages belong to.")],
    checkpoint: Annotated[
        str, typer.Option(metavar="DIR", help="Where Spark keeps how far it has read: a folder or a URL.")
    ],
    master: Annotated[str, typer.Option(metavar="URL", help="Spark's master.")] = "local[4]",
    trigger: Annotated[
        str, typer.Option(metavar="now|1s", help="Read what is there now and end, or a batch at this interval.")
    ] = "1s",
    from_group: Annotated[
        str | None,
        typer.Option(metavar="G", help="Start where this consumer group has stopped, if there is no checkpoint yet."),
    ] = None,
    jars: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The jars of Spark's Kafka connector, unless Spark has them.")
    ] = None,
    timezone: Timezone = None,
    retry: Annotated[
        str, typer.Option(metavar="SECONDS", help="How long a task retries while a service is unavailable.")
    ] = "600",
    kafka_config: KafkaConfig = None,
    source_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The same for Spark's Kafka source, by the names of Kafka's Java client."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Serve Prometheus metrics there, on loopback.")
    ] = None,
) -> None:
    """Consume records from Kafka by Apache Spark, until SIGTERM or Ctrl-C. Needs the extra `spark`.

    Executors parse messages and send them to the proxy; a batch is committed once all its records are durable. Rejected
    records go to the topic T.dlq, sealed; see `privacyplease ingest dlq`.

    Example: privacyplease ingest spark --bootstrap localhost:9092 --topic wifi --dataset wifi --checkpoint wifi.spark
    """
    from privacyplease.ingest.kafka.broker import require_topic, settings
    from privacyplease.transport.stop_signals import stop_on_signal

    _require_pyspark()
    from confluent_kafka.admin import AdminClient

    from privacyplease.ingest.spark.options import SinkOptions
    from privacyplease.ingest.spark.run import SparkOptions, run
    from privacyplease.ingest.spark.starting_offsets import EARLIEST, offsets_of_group

    _log_to_stderr()
    connection = connection_options(context)
    certificates = connection.certificate()
    sink = {
        "proxy": connection.address(),
        "dataset": dataset,
        **({"certificates": str(certificates.resolve())} if certificates else {"insecure": "true"}),
        **({"timezone": timezone} if timezone else {}),
        "retry": retry,
        "badRecords": "deadLetter",
        "deadLetter.bootstrap": bootstrap,
        **({"deadLetter.config": str(kafka_config.resolve())} if kafka_config else {}),
    }
    every = _every(trigger)
    with reported_errors(), stop_on_signal() as stop:
        SinkOptions.read(sink)  # fails at once, rather than once Spark has started
        kafka = settings(bootstrap, kafka_config)
        require_topic(AdminClient({"log_level": 2, **kafka}), topic)
        options = SparkOptions(
            topic=topic,
            source=settings(bootstrap, source_config),
            sink=sink,
            master=master,
            checkpoint=checkpoint,
            every=every,
            starting_offsets=offsets_of_group(kafka, topic, from_group) if from_group else EARLIEST,
            jars=jars,
            metrics=metrics,
        )
        run(options, stop)


def _log_to_stderr() -> None:
    """Logs what we log, and nothing of PySpark's, which logs whatever it raises."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    own = logging.getLogger("privacyplease")
    own.addHandler(handler)
    own.setLevel(logging.INFO)
    own.propagate = False
    logging.getLogger().addHandler(logging.NullHandler())


def _every(trigger: str) -> float | None:
    """Seconds between batches; None to read what is there now."""
    if trigger == "now":
        return None
    match = _EVERY.fullmatch(trigger)
    if match is None:
        raise typer.BadParameter(f"expected `now`, or an interval such as 500ms, 1s or 5m; got {trigger!r}")
    return int(match[1]) * _SECONDS[match[2]]


def _require_pyspark() -> None:
    import importlib.util

    if importlib.util.find_spec("pyspark") is None:
        raise CommandError(
            "Spark is not installed",
            "install it with `pip install privacyplease-ingest[spark]`; it needs Java 17",
            ExitCode.USAGE,
        )


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(spark)
