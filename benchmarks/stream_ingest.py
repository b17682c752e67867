"""Sustained ingest of a stream, Kafka to durable.

The sessions lie in one topic of a private Kafka. Each round a consumer of a fresh group reads all of them: the same
consumer on both sides, in front of the proxy and of the plaintext twin. It is timed from its first message to its last
durable record, so that joining the group is left out.
"""

from __future__ import annotations

import threading
import time
from itertools import count
from uuid import uuid4

from benchmarks import sides
from benchmarks.results import Results, Row, held
from benchmarks.rounds import in_turn
from benchmarks.sessions import Data
from benchmarks.targets import STREAM
from privacyplease.client import Client
from privacyplease.ingest.kafka.consumer import ConsumerOptions, ConsumerRun
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.replay import Replay
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB

SESSIONS = 300_000
BATCH = 5_000

_GLANCE_S = 0.005


def run(database: MariaDB, results: Results, rounds: int) -> None:
    """Measures the consumer in front of both sides."""
    section = results.section(
        "stream",
        f"Stream ingest, {SESSIONS:,} sessions, Kafka to durable",
        f"The same consumer in front of the proxy and of the plaintext twin, in batches of {BATCH:,} messages; from "
        "the first message to the last durable record.",
    )
    with Kafka() as kafka:
        topic = kafka.create_topic()
        with Producer(topic, {"bootstrap.servers": kafka.bootstrap}) as producer:
            Replay(Data(SESSIONS).tables()).send(producer)
        bench = _Stream(database, kafka.bootstrap, topic)
        took = in_turn({"encrypted": bench.encrypted, "plaintext": bench.plaintext}, rounds)
    rates = {name: SESSIONS / seconds for name, seconds in took.items()}
    bounds = held([STREAM], rates["encrypted"] / rates["plaintext"], 0)
    section.add(Row("Kafka to durable", rates["encrypted"], rates["plaintext"], "sessions/s", bounds))


class _Stream:
    """Consumes the topic into a fresh database, in seconds."""

    def __init__(self, database: MariaDB, bootstrap: str, topic: str) -> None:
        self._database = database
        self._bootstrap = bootstrap
        self._topic = topic
        self._numbers = count()

    def encrypted(self) -> float:
        with sides.encrypted(self._database, self._name()) as running:
            return self._consume(running.side.client)

    def plaintext(self) -> float:
        with sides.plaintext(self._database, self._name()) as twin:
            return self._consume(twin.client)

    def _consume(self, client: Client) -> float:
        stop = threading.Event()
        options = ConsumerOptions(self._topic, "wifi", uuid4().hex, flush_records=BATCH)
        consumption = ConsumerRun(client, {"bootstrap.servers": self._bootstrap}, options)
        thread = threading.Thread(target=consumption.run, args=(stop,))
        thread.start()
        try:
            while not consumption.consumed:
                time.sleep(_GLANCE_S)
            began = time.perf_counter()
            while consumption.counts["stored"] < SESSIONS:
                time.sleep(_GLANCE_S)
            return time.perf_counter() - began
        finally:
            stop.set()
            thread.join()

    def _name(self) -> str:
        return f"stream_{next(self._numbers)}"
