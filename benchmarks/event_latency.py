"""From event to answer: how long it takes until a session sent to Kafka appears in the proxy's answers.

Sessions that begin now are sent at a steady rate. Now and then one is of a device that has never been seen; its
presence is queried repeatedly until the session appears. Kafka, the consumer, both servers and MariaDB are separate
processes with their default settings.
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

from benchmarks import systems
from benchmarks.results import BenchmarkResults, Measurement
from privacyplease.client import Client
from tests.services.consumer import ConsumerProcess
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.polling import eventually
from tests.services.stack import Stack

_RATE = 1_000
_SECONDS = 30.0
_PROBERS = 4
_TICK_S = 0.01
_POLL_S = 0.01
_WARM_UP_S = 5.0
_TIMEOUT_S = 30.0


def run(database: MariaDB, results: BenchmarkResults, _rounds: int) -> None:
    """Measures the latencies and reports percentiles."""
    section = results.section(
        "latency",
        "From event to answer",
        f"Sessions that begin now are sent to Kafka at {_RATE:,} a second for {_SECONDS:g} s. Now and then one is of a "
        "device that has never been seen; its presence is queried repeatedly until the session appears.",
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        Kafka() as kafka,
        systems.encrypted(database, "latency") as encrypted,
    ):
        topic, running = kafka.create_topic(), encrypted.stack
        endpoints = Path(folder), running.proxy, kafka.bootstrap, topic
        with ConsumerProcess(*endpoints, certificates=running.certificates) as consumer:
            if not eventually(lambda: "partitions assigned" in consumer.log, 60):
                raise RuntimeError(f"the consumer did not start:\n{consumer.log}")
            latencies = measured(kafka.bootstrap, topic, running)
            consumer.stop()
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    for percent in (50, 95, 99):
        note = f"{len(latencies):,} sessions queried"
        section.add(Measurement(f"p{percent}", cuts[percent - 1], None, "s", note=note))


def measured(bootstrap: str, topic: str, running: Stack) -> list[float]:
    """Sends sessions and measures; returns the latencies, in seconds."""
    sender = _SessionSender(bootstrap, topic, _RATE)
    sending = threading.Thread(target=sender.run, args=(time.monotonic() + _WARM_UP_S + _SECONDS,))
    sending.start()
    time.sleep(_WARM_UP_S)
    latencies: list[float] = []
    probers = [threading.Thread(target=_probe, args=(sender, running, latencies)) for _ in range(_PROBERS)]
    for prober in probers:
        prober.start()
    sending.join()
    for prober in probers:
        prober.join()
    return latencies


class _SessionSender:
    """Sends sessions to Kafka at a steady rate."""

    def __init__(self, bootstrap: str, topic: str, rate: int) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self._lock = threading.Lock()
        self._topic = topic
        self._rate = rate
        self._devices = [f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}" for number in range(2_500)]
        self.sent = 0
        self.over = False

    def run(self, until: float) -> None:
        """Sends until the monotonic clock reaches a time."""
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


def _probe(sender: _SessionSender, running: Stack, latencies: list[float]) -> None:
    """Sends sessions of new devices, and appends how long each took to appear."""
    chance = random.Random(threading.get_ident())
    with Client(running.proxy, certificates=running.certificates) as client:
        while not sender.over:
            time.sleep(chance.uniform(0, 0.2))  # out of step with the consumer's batches
            device = "06:" + ":".join(f"{chance.randrange(256):02x}" for _ in range(5))
            interval = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(minutes=5)
            began = time.perf_counter()
            sender.send(device, 7)
            while not client.presence(device, *interval, purpose="benchmark").present:
                if time.perf_counter() - began > _TIMEOUT_S:
                    raise RuntimeError(f"expected the session to appear within {_TIMEOUT_S:g} s; it did not")
                time.sleep(_POLL_S)
            latencies.append(time.perf_counter() - began)
