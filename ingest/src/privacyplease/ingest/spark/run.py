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

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.streaming import StreamingQuery

from privacyplease.ingest.errors import SparkError
from privacyplease.ingest.spark.commit_reports import REPORT_FILE, reported
from privacyplease.ingest.spark.failures import Failure
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

# A query that fails so often without a batch in between is not started again.
_FAILURES = 6


@dataclass(frozen=True)
class SparkOptions:
    """What to run, and where.

    Attributes:
        topic: The topic to read.
        source: Settings of Kafka's Java client.
        sink: Options of the data source.
        master: Spark's master.
        checkpoint: Where Spark keeps how far it has read: a folder, or a URL that every driver can reach.
        every: Seconds from the start of a batch to the start of the next; None to read what is there now, and end.
        starting_offsets: Where to start if there is no checkpoint yet, as Spark's option of that name.
        jars: The folder with the jars of the Kafka connector; None if Spark has them already.
        metrics: Where to serve metrics, as HOST:PORT on loopback; None for nowhere.
    """

    topic: str
    source: Mapping[str, str]
    sink: Mapping[str, str]
    master: str
    checkpoint: str
    every: float | None
    starting_offsets: str = EARLIEST
    jars: Path | None = None
    metrics: str | None = None


def run(options: SparkOptions, stop: threading.Event) -> None:
    """Runs a query until it is stopped; the batch that is being written is then finished, if that is soon.

    A query that fails, because a service is unavailable or a part of Spark was lost, is started again.

    Args:
        options: What to run.
        stop: Ends the run when set.

    Raises:
        SettingsError: The metrics cannot be served, or the connector's jars are missing.
        SparkError: The query has failed for good, with what Spark says of its cause; or Spark's JVM has ended.
    """
    with tempfile.TemporaryDirectory(prefix="privacyplease-spark-") as folder:
        report = Path(folder) / "report"
        environ[REPORT_FILE] = str(report)  # before Spark starts, which passes it on
        progress = Progress(lambda: reported(report))
        if options.metrics:
            _log.info("metrics: http://%s/metrics", progress.serve(options.metrics))
        try:
            with _session(options) as session:
                session.streams.addListener(progress)
                _run(session, options, progress, stop)
        except (Py4JError, OSError) as error:  # from the connection to Spark's JVM
            if not stop.is_set():
                raise SparkError("the JVM of Spark has ended") from error
            _log.warning("the JVM of Spark was stopped within a batch, which will be read again")
        _log.info("stopped; %s", progress.summary)


@contextmanager
def _session(options: SparkOptions) -> Iterator[SparkSession]:
    session = open_session(options.master, options.jars)
    try:
        yield session
    finally:
        session.stop()


def _run(session: SparkSession, options: SparkOptions, progress: Progress, stop: threading.Event) -> None:
    failures = 0
    while True:
        batches = progress.batches
        try:
            query = _start(session, options)
            _log.info("started; topic %s, checkpoint %s", options.topic, options.checkpoint)
            _wait(session, query, progress, stop)
        except PySparkException as error:
            failure = Failure.read(str(error))
            failures = failures + 1 if progress.batches == batches else 1
            if failure.final or failures == _FAILURES or stop.is_set():
                raise SparkError(f"the query has failed: {failure.cause}") from error
            _log.warning("the query has failed and is started again: %s", failure.cause)
            stop.wait(2.0 ** (failures - 1))
        else:
            return


def _start(session: SparkSession, options: SparkOptions) -> StreamingQuery:
    messages = (
        session.readStream.format("kafka")
        .options(**{f"kafka.{name}": value for name, value in options.source.items()})
        .options(subscribe=options.topic, startingOffsets=options.starting_offsets)
        .options(maxOffsetsPerTrigger=_BATCH_MESSAGES)
        .load()
        .select(*_COLUMNS)
    )
    writer = messages.writeStream.format("privacyplease").options(**options.sink)
    writer = writer.option("checkpointLocation", options.checkpoint)
    if options.every is None:
        return writer.trigger(availableNow=True).start()
    return writer.trigger(processingTime=f"{round(options.every * 1_000)} milliseconds").start()


def _wait(session: SparkSession, query: StreamingQuery, progress: Progress, stop: threading.Event) -> None:
    while query.isActive and not stop.is_set():
        stop.wait(_POLL_S)
    if query.isActive:
        if query.status["isTriggerActive"]:
            # What has been sent is durable. Stopped within a batch, Spark would send all of it again.
            progress.wait_for_batch(progress.batches, _STOP_S)
        # The next batch may have begun. It is read again, so that it is broken off is no news.
        session.sparkContext.setLogLevel("OFF")
        query.stop()
    query.awaitTermination()
    progress.wait_for_end(_END_S)
