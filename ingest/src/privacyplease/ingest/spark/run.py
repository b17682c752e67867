"""A run of Spark: from a topic to the proxy, until it is stopped or the topic has been read."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from privacyplease.ingest.errors import SparkError
from privacyplease.ingest.spark.commit_reports import REPORT_FILE, reported
from privacyplease.ingest.spark.failures import cause
from privacyplease.ingest.spark.progress import Progress
from privacyplease.ingest.spark.session import open_session
from privacyplease.ingest.spark.starting_offsets import EARLIEST

__all__ = ["SparkOptions", "run"]

_log = logging.getLogger("privacyplease.ingest.spark")

_COLUMNS = ("value", "key", "topic", "partition", "offset", "timestamp")

# What is read again if a batch fails; and how much a query that was stopped for long reads before it first commits.
_BATCH_MESSAGES = 500_000
_STOP_S = 20.0
_END_S = 10.0
_POLL_S = 0.2


@dataclass(frozen=True)
class SparkOptions:
    """What to run, and where.

    Attributes:
        master: Spark's master.
        checkpoint: Where Spark keeps how far it has read: a folder, or a URL that every driver can reach.
        every: Seconds from the start of a batch to the start of the next; None to read what is there now, and end.
        starting_offsets: Where to start if there is no checkpoint yet, as Spark's option of that name.
        jars: The folder with the jars of the Kafka connector; None if Spark has them already.
        metrics: Where to serve metrics, as HOST:PORT on loopback; None for nowhere.
    """

    master: str
    checkpoint: str
    every: float | None
    starting_offsets: str = EARLIEST
    jars: Path | None = None
    metrics: str | None = None


def run(
    topic: str, source: Mapping[str, str], sink: Mapping[str, str], options: SparkOptions, stop: threading.Event
) -> None:
    """Runs a query until it is stopped; the batch that is being written is then finished, if that is soon.

    Args:
        topic: The topic.
        source: Settings of Kafka's Java client.
        sink: Options of the data source.
        options: What to run.
        stop: Ends the run when set.

    Raises:
        SettingsError: The metrics cannot be served, or the connector's jars are missing.
        SparkError: The query has failed, with what Spark says of its cause.
    """
    with tempfile.TemporaryDirectory(prefix="privacyplease-spark-") as folder:
        report = Path(folder) / "report"
        environ[REPORT_FILE] = str(report)  # before Spark starts, which passes it on
        progress = Progress(lambda: reported(report))
        with _session(options) as session:
            if options.metrics:
                _log.info("metrics: http://%s/metrics", progress.serve(options.metrics))
            session.streams.addListener(progress)
            with _understandable():
                query = _start(session, topic, source, sink, options)
                _log.info("started; topic %s, checkpoint %s", topic, options.checkpoint)
                _wait(session, query, progress, stop)
            _log.info("stopped; %s", progress.summary)


@contextmanager
def _session(options: SparkOptions) -> Iterator[SparkSession]:
    session = open_session(options.master, options.jars)
    try:
        yield session
    finally:
        session.stop()


def _start(
    session: SparkSession, topic: str, source: Mapping[str, str], sink: Mapping[str, str], options: SparkOptions
) -> StreamingQuery:
    messages = (
        session.readStream.format("kafka")
        .options(**{f"kafka.{name}": value for name, value in source.items()})
        .options(subscribe=topic, startingOffsets=options.starting_offsets, maxOffsetsPerTrigger=_BATCH_MESSAGES)
        .load()
        .select(*_COLUMNS)
    )
    writer = messages.writeStream.format("privacyplease").options(**sink)
    writer = writer.option("checkpointLocation", options.checkpoint)
    if options.every is None:
        return writer.trigger(availableNow=True).start()
    return writer.trigger(processingTime=f"{round(options.every * 1_000)} milliseconds").start()


def _wait(session: SparkSession, query: StreamingQuery, progress: Progress, stop: threading.Event) -> None:
    while query.isActive and not stop.is_set():
        stop.wait(_POLL_S)
    if query.isActive and query.status["isTriggerActive"]:
        # What has been sent is durable. Stopped within a batch, Spark would send all of it again.
        progress.wait_for_batch(progress.batches, _STOP_S)
    # The next batch may have begun. It is read again, so that it is broken off is no news.
    session.sparkContext.setLogLevel("OFF")
    query.stop()
    query.awaitTermination()
    progress.wait_for_end(_END_S)


@contextmanager
def _understandable() -> Iterator[None]:
    """Turns what Spark raises into an error that says in one line what went wrong."""
    try:
        yield
    except PySparkException as error:
        raise SparkError(f"the query has failed: {cause(str(error))}") from error
