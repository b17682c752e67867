"""Sustained ingest of a stream, Kafka to durable: encrypted, and in plaintext with `executemany`.

    python -m benchmarks.stream_ingest [FILE] [--rounds N] [--batch N]

The log lies in one topic of a private Kafka; each round a consumer of a fresh group reads all of it, in batches of one
size, alternately the real consumer and one that writes to a plaintext table. Both parse with the same reader, both
commit a batch's offsets once it is durable, and both are timed from their first message to their last durable record,
so that joining the group is left out. The store is one private MariaDB with its durable defaults.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Consumer, Message

from benchmarks import plaintext
from privacyplease.ingest import wifi
from privacyplease.ingest.consumer import Consumption, Task
from privacyplease.ingest.producer import Producer
from privacyplease.ingest.replay import Replay
from privacyplease.ingest.wifi import messages as wifi_messages
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDB
from tests.services.stack import stack

_GLANCE_S = 0.005


def main() -> None:
    """Measures and prints a table of medians with the ratio."""
    flags = _parser().parse_args()
    rates: dict[str, list[float]] = {"encrypted": [], "plaintext": []}
    with Kafka() as kafka, MariaDB(options=("--innodb-buffer-pool-size=1G",)) as database:
        topic = kafka.create_topic()
        count = _fill(kafka.bootstrap, topic, flags.file)
        for number in range(flags.rounds):
            run = _Run(kafka.bootstrap, topic, count, flags.batch)
            rates["encrypted"].append(run.encrypted(database.create_database(f"encrypted_{number}")))
            rates["plaintext"].append(run.plaintext(database.create_database(f"plaintext_{number}")))
            print(f"round {number + 1}: " + ", ".join(f"{name} {runs[-1]:,.0f}/s" for name, runs in rates.items()))
    medians = {name: statistics.median(runs) for name, runs in rates.items()}
    for name, median in medians.items():
        print(f"{name:>10}  median {median:>9,.0f} sessions/s  ({min(rates[name]):,.0f} to {max(rates[name]):,.0f})")
    print(f"     ratio  {medians['encrypted'] / medians['plaintext']:.2f}")


class _Run:
    """One round: who reads what, and in batches of which size."""

    def __init__(self, bootstrap: str, topic: str, count: int, batch: int) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._count = count
        self._batch = batch

    def encrypted(self, url: str) -> float:
        """Sessions a second through the real consumer, proxy and server."""
        stop = threading.Event()
        with stack(url) as running:
            task = Task(self._topic, "wifi", uuid4().hex, flush_records=self._batch)
            consumption = Consumption(running.client, {"bootstrap.servers": self._bootstrap}, task)
            thread = threading.Thread(target=consumption.run, args=(stop,))
            thread.start()
            while not consumption.consumed:
                time.sleep(_GLANCE_S)
            began = time.perf_counter()
            while consumption.counts["stored"] < self._count:
                time.sleep(_GLANCE_S)
            seconds = time.perf_counter() - began
            stop.set()
            thread.join()
        return self._count / seconds

    def plaintext(self, url: str) -> float:
        """Sessions a second through a consumer as most programs would have it."""
        settings = {"bootstrap.servers": self._bootstrap, "group.id": uuid4().hex, "auto.offset.reset": "earliest"}
        consumer = Consumer({**settings, "enable.auto.commit": False})
        consumer.subscribe([self._topic])
        written, began = 0, 0.0
        with plaintext.Sessions(url) as sessions:
            while written < self._count:
                batch: list[Message] = consumer.consume(self._batch, timeout=0.5)
                began = began or (time.perf_counter() if batch else 0.0)
                if batch:
                    values = [message.value() or b"" for message in batch]
                    written += sessions.write(wifi_messages.parse(values, None).table)
                    consumer.commit(asynchronous=True)
            seconds = time.perf_counter() - began
        consumer.close()
        return self._count / seconds


def _fill(bootstrap: str, topic: str, file: Path) -> int:
    with Producer(topic, {"bootstrap.servers": bootstrap}) as producer:
        return Replay(block.table for block in wifi.read(file)).send(producer)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Stream ingest, encrypted and in plaintext.")
    data = Path(os.environ.get("PRIVACYPLEASE_DATA", "../shared/data"))
    parser.add_argument("file", nargs="?", type=Path, default=data / "wifi" / "client_sessions.csv.gz")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=5_000, help="messages of a batch")
    return parser


if __name__ == "__main__":
    main()
