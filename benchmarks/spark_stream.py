"""A stream by Spark, beside the consumer: the same topic, the same proxy, in turn.

Both run as users start them, each in a process of its own; Spark runs locally, in a JVM with Python workers. The rate
is that of the records after the first batch of Spark's, so that neither the start of a JVM nor its first compilations
count, nor the consumer's joining its group. Both are measured by what the proxy has acknowledged.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import systems
from benchmarks.event_latency import measured
from benchmarks.interleaved_runs import run_interleaved
from benchmarks.results import BenchmarkResults, Measurement, Section, held_against
from benchmarks.sessions import CampusSessions
from benchmarks.targets import SPARK, SPARK_LATENCY_S
from privacyplease.client import Client
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.replay import Replay
from tests.services.consumer import ConsumerProcess
from tests.services.daemon import Daemon
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.polling import eventually
from tests.services.spark_job import SparkJob
from tests.services.stack import Stack

SESSIONS = 2_000_000
FIRST_BATCH = 500_000  # of `ingest spark`

_POLL_S = 0.05
_POLLS_A_SAMPLE = 10
_START_S = 120.0
_LONGEST_S = 600.0
# As a user's Spark, not as a test's: with the JVM's own compilers and collector.
_JVM = {"spark__driver__extraJavaOptions": "-XX:+UseG1GC", "spark__eventLog__enabled": "false"}


class _Usage(NamedTuple):
    """What a run took: CPU in seconds for all records, and the most memory in bytes."""

    cpu_s: float
    memory: float


def run(database: MariaDB, results: BenchmarkResults, rounds: int) -> None:
    """Measures rates, CPU, memory, and the latency of a live stream."""
    section = results.section(
        "spark",
        f"Spark beside the consumer, {SESSIONS:,} sessions, Kafka to durable",
        "Both send to the proxy, in turn. The rate is that of the records after Spark's first batch of "
        f"{FIRST_BATCH:,}; CPU and memory are of all processes of each, the JVM and Python workers included, from "
        "their start; latency is that of sessions sent at 1,000 a second, with a batch every second.",
        ("Spark", "consumer"),
    )
    with Kafka() as kafka:
        topic = kafka.create_topic()
        with Producer(topic, {"bootstrap.servers": kafka.bootstrap}) as producer:
            Replay(CampusSessions(SESSIONS).tables()).send(producer)
        streams = _Streams(database, kafka.bootstrap, topic)
        seconds = run_interleaved({"spark": streams.spark, "consumer": streams.consumer}, rounds, _LONGEST_S)
        rates = {name: (SESSIONS - FIRST_BATCH) / taken for name, taken in seconds.items()}
        bounds = held_against([SPARK], rates["spark"] / rates["consumer"], 0)
        section.add(Measurement("Kafka to durable", rates["spark"], rates["consumer"], "sessions/s", bounds))
        section.add(Measurement("start to the first batch", streams.first_batch_s(), None, "s"))
        for what, field, unit, size in (("CPU", "cpu_s", "s", 1), ("memory, at most", "memory", "MiB", 1 << 20)):
            ours, theirs = streams.usage(field)
            section.add(Measurement(what, ours / size, theirs / size, unit))
        _measure_latency(database, kafka, section)


class _Streams:
    """Reads the topic into a new database; each method returns the seconds it took."""

    def __init__(self, database: MariaDB, bootstrap: str, topic: str) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._topic = topic
        self._numbers = count()
        self._usages: dict[str, list[_Usage]] = {"spark": [], "consumer": []}
        self._first_batches: list[float] = []

    def spark(self) -> float:
        return self._read("spark", lambda folder, running: _spark(folder, running, self._bootstrap, self._topic))

    def consumer(self) -> float:
        return self._read(
            "consumer",
            lambda folder, running: ConsumerProcess(
                folder, running.proxy, self._bootstrap, self._topic, "--group", folder.name,
                certificates=running.certificates,
            ),
        )  # fmt: skip

    def first_batch_s(self) -> float:
        """Seconds from the start of Spark until its first batch was durable."""
        return statistics.median(self._first_batches)

    def usage(self, field: str) -> tuple[float, float]:
        """The medians of one field for Spark and for the consumer."""
        values = [statistics.median(getattr(each, field) for each in self._usages[name]) for name in self._usages]
        return values[0], values[1]

    def _read(self, name: str, process: Callable[[Path, Stack], Daemon]) -> float:
        with (
            tempfile.TemporaryDirectory(prefix="stream-") as folder,
            systems.encrypted(self._database, f"spark_{next(self._numbers)}") as encrypted,
            process(Path(folder), encrypted.stack) as started,
        ):
            began, usage = time.perf_counter(), _Usage(0, 0)
            marks: list[float] = []
            for records in (FIRST_BATCH, SESSIONS):
                for polls in count():
                    if _accepted(encrypted.system.client) >= records:
                        break
                    if polls % _POLLS_A_SAMPLE == 0:
                        usage = _more(usage, _used(started.pid))
                    time.sleep(_POLL_S)
                marks.append(time.perf_counter())
            self._usages[name].append(_more(usage, _used(started.pid)))
            if name == "spark":
                self._first_batches.append(marks[0] - began)
            return marks[1] - marks[0]


def _spark(folder: Path, running: Stack, bootstrap: str, topic: str) -> SparkJob:
    return SparkJob(folder, running.proxy, bootstrap, topic, certificates=running.certificates, **_JVM)


def _accepted(client: Client) -> int:
    return client.status().activity.ingestion.accepted


def _used(pid: int) -> _Usage:
    """What a process and its descendants use now."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    cpu, memory = 0.0, 0.0
    for process in processes:
        try:
            times = process.cpu_times()
            cpu += times.user + times.system
            memory += process.memory_full_info().pss  # forked workers share pages
        except psutil.Error:
            continue
    return _Usage(cpu, memory)


def _more(one: _Usage, other: _Usage) -> _Usage:
    return _Usage(max(one.cpu_s, other.cpu_s), max(one.memory, other.memory))


def _measure_latency(database: MariaDB, kafka: Kafka, section: Section) -> None:
    topic = kafka.create_topic()
    with (
        tempfile.TemporaryDirectory(prefix="live-") as folder,
        systems.encrypted(database, "spark_live") as encrypted,
        _spark(Path(folder), encrypted.stack, kafka.bootstrap, topic) as job,
    ):
        if not eventually(lambda: job.started, _START_S):
            raise RuntimeError(f"Spark did not start:\n{job.log}")
        measured(kafka.bootstrap, topic, encrypted.stack)  # until the JVM has compiled what it runs
        latencies = measured(kafka.bootstrap, topic, encrypted.stack)
        job.stop()
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    for percent in (50, 95, 99):
        bounds = held_against([SPARK_LATENCY_S], cuts[percent - 1], 0) if percent == 95 else ()
        note = f"{len(latencies):,} sessions queried"
        section.add(Measurement(f"live, p{percent}", cuts[percent - 1], None, "s", bounds, note))
