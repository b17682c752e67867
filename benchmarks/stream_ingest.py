"""Sustained ingest of a stream, from Kafka until every record is durable.

The sessions are in one topic of a private Kafka. In each round a consumer in a new group reads all of them and sends
them to the proxy or to the plaintext service; the consumer is the same. It is timed from its first message to its last
durable record, which excludes joining the group.
"""

from __future__ import annotations

import threading
import time
from itertools import count
from uuid import uuid4

from benchmarks import systems
from benchmarks.interleaved_runs import run_interleaved
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.sessions import CampusSessions
from benchmarks.targets import STREAM
from privacyplease.client import Client
from privacyplease.ingest.kafka.consumer import ConsumerOptions, ConsumerRun
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.replay import Replay
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB

SESSIONS = 300_000
BATCH = 5_000

_POLL_S = 0.005


def run(database: MariaDB, results: BenchmarkResults, rounds: int) -> None:
    """Measures the consumer with both sides."""
    section = results.section(
        "stream",
        f"Stream ingest, {SESSIONS:,} sessions, Kafka to durable",
        f"The same consumer sends to the proxy and to the plaintext service, in batches of {BATCH:,} messages; from "
        "the first message to the last durable record.",
    )
    with Kafka() as kafka:
        topic = kafka.create_topic()
        with Producer(topic, {"bootstrap.servers": kafka.bootstrap}) as producer:
            Replay(CampusSessions(SESSIONS).tables()).send(producer)
        ingest = _StreamIngest(database, kafka.bootstrap, topic)
        runs = {"encrypted": ingest.encrypted, "plaintext": ingest.plaintext}
        rates = {name: SESSIONS / seconds for name, seconds in run_interleaved(runs, rounds).items()}
    bounds = held_against([STREAM], rates["encrypted"] / rates["plaintext"], 0)
    section.add(Measurement("Kafka to durable", rates["encrypted"], rates["plaintext"], "sessions/s", bounds))


class _StreamIngest:
    """Consumes the topic into a new database; each method returns the seconds it took."""

    def __init__(self, database: MariaDB, bootstrap: str, topic: str) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._topic = topic
        self._numbers = count()

    def encrypted(self) -> float:
        with systems.encrypted(self._database, self._name()) as running:
            return self._consume(running.system.client)

    def plaintext(self) -> float:
        with systems.plaintext(self._database, self._name()) as plaintext:
            return self._consume(plaintext.client)

    def _consume(self, client: Client) -> float:
        stop = threading.Event()
        options = ConsumerOptions(self._topic, "wifi", uuid4().hex, flush_records=BATCH)
        consumption = ConsumerRun(client, {"bootstrap.servers": self._bootstrap}, options)
        thread = threading.Thread(target=consumption.run, args=(stop,))
        thread.start()
        try:
            while not consumption.consumed:
                time.sleep(_POLL_S)
            began = time.perf_counter()
            while consumption.counts["stored"] < SESSIONS:
                time.sleep(_POLL_S)
            return time.perf_counter() - began
        finally:
            stop.set()
            thread.join()

    def _name(self) -> str:
        return f"stream_{next(self._numbers)}"
