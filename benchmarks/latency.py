"""From event to answer: how long after it is sent to Kafka a session shows in what the proxy answers.

Sessions that begin now are sent at a steady rate. Every now and then one is of a device that nobody has seen before;
its presence is asked for again and again until it is there. Kafka, the consumer, both servers and MariaDB are processes
of their own, with the settings that they have by default.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from confluent_kafka import Producer

from benchmarks import sides
from benchmarks.results import Results, Row
from privacyplease.client import Client
from tests.services.consumer import ConsumerProcess
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.patience import eventually
from tests.services.stack import Stack

_RATE = 1_000
_SECONDS = 30.0
_PROBERS = 4
_TICK_S = 0.01
_ASK_S = 0.01
_WARM_UP_S = 5.0
_GIVEN_UP_S = 30.0


def run(database: MariaDB, results: Results, _rounds: int) -> None:
    """Measures and gives percentiles."""
    section = results.section(
        "latency",
        "From event to answer",
        f"Sessions that begin now are sent to Kafka at {_RATE:,} a second for {_SECONDS:g} s. Now and then one is of a "
        "device that nobody has seen before; its presence is asked for again and again until it is there.",
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Kafka() as kafka,
        sides.encrypted(database, "latency") as encrypted,
    ):
        topic, running = kafka.create_topic(), encrypted.stack
        place = Path(folder), running.proxy, kafka.bootstrap, topic
        with ConsumerProcess(*place, certificates=running.certificates) as consumer:
            if not eventually(lambda: "partitions assigned" in consumer.log, 60):
                raise RuntimeError(f"the consumer did not start:\n{consumer.log}")
            latencies = _measured(kafka.bootstrap, topic, running)
            consumer.stop()
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    for percent in (50, 95, 99):
        note = f"{len(latencies):,} sessions asked for"
        section.add(Row(f"p{percent}", cuts[percent - 1], None, "s", note=note))


def _measured(bootstrap: str, topic: str, running: Stack) -> list[float]:
    """Latencies in seconds."""
    stream = _Stream(bootstrap, topic, _RATE)
    sender = threading.Thread(target=stream.run, args=(time.monotonic() + _WARM_UP_S + _SECONDS,))
    sender.start()
    time.sleep(_WARM_UP_S)
    latencies: list[float] = []
    probers = [threading.Thread(target=_probe, args=(stream, running, latencies)) for _ in range(_PROBERS)]
    for each in probers:
        each.start()
    sender.join()
    for each in probers:
        each.join()
    return latencies


class _Stream:
    """Sends sessions at a rate."""

    def __init__(self, bootstrap: str, topic: str, rate: int) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self._lock = threading.Lock()
        self._topic = topic
        self._rate = rate
        self._devices = [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(2_500)]
        self.sent = 0
        self.over = False

    def run(self, until: float) -> None:
        """Sends until a time of the monotonic clock."""
        chance, began = random.Random(1), time.monotonic()
        while (now := time.monotonic()) < until:
            while self.sent < (now - began) * self._rate:
                self.send(chance.choice(self._devices), chance.randrange(75))
            self._producer.poll(0)
            time.sleep(_TICK_S)
        self.over = True
        self._producer.flush(30)

    def send(self, device: str, place: int) -> None:
        """Sends a session that begins now."""
        start = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = ["", device, start, "", f"ap-{place}", *[""] * 6, "60", "", ""]
        self._producer.produce(self._topic, "\t".join(fields).encode(), device)
        with self._lock:
            self.sent += 1


def _probe(stream: _Stream, running: Stack, latencies: list[float]) -> None:
    chance = random.Random(threading.get_ident())
    with Client(running.proxy, certificates=running.certificates) as client:
        while not stream.over:
            time.sleep(chance.uniform(0, 0.2))  # not in step with the consumer's batches
            device = "06:" + ":".join(f"{chance.randrange(256):02x}" for _ in range(5))
            day = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
            began = time.perf_counter()
            stream.send(device, 7)
            while not client.presence(device, *day, purpose="benchmark").present:
                if time.perf_counter() - began > _GIVEN_UP_S:
                    raise RuntimeError(f"a session is not there after {_GIVEN_UP_S:g} s")
                time.sleep(_ASK_S)
            latencies.append(time.perf_counter() - began)
