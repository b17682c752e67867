"""A site for tests of the consumer: Kafka, both servers, and what is stored and logged there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from confluent_kafka import Producer

from privacyplease.client import Client
from privacyplease.ingest.kafka.producer import Producer as ReplayProducer
from privacyplease.ingest.kafka.replay import Replay
from tests.services import command_line
from tests.services.consumer import ConsumerProcess, Progress
from tests.services.kafka import Kafka
from tests.services.polling import eventually
from tests.services.sessions import Session, longest
from tests.services.stack import Stack


class KafkaSite(NamedTuple):
    """Kafka with an empty topic, and both servers over a MariaDB.

    Attributes:
        kafka: The broker.
        topic: The topic.
        servers: Both servers.
        folder: The folder of the consumers' logs.
        day: The first of ten days for which nothing is stored yet, nor for the day before.
    """

    kafka: Kafka
    topic: str
    servers: Stack
    folder: Path
    day: datetime

    @property
    def client(self) -> Client:
        return self.servers.client

    def session(self, number: int, **fields: str) -> bytes:
        """A session of the ten days, in the stream format; distinct for numbers up to 100,000."""
        return session(number, self.day, **fields)

    def stored(self) -> set[Session]:
        """The sessions of the ten days, and of the day before."""
        period = self.day - timedelta(days=1), self.day + timedelta(days=10) - timedelta(milliseconds=1)
        return longest(self.client.query("wifi", *period, purpose="test").to_arrow())

    def consumer(self, *flags: str, name: str = "consumer") -> ConsumerProcess:
        """A consumer of the topic, not started yet."""
        addresses = self.servers.proxy, self.kafka.bootstrap, self.topic
        return ConsumerProcess(self.folder, *addresses, *flags, name=name, certificates=self.servers.certificates)

    def produce(
        self,
        messages: Sequence[bytes | None],
        *,
        keys: Sequence[str | None] = (),
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Puts messages into one partition, in order, each with the headers."""
        settings = {"enable.idempotence": True}  # a new topic may accept some only at the second attempt
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "message.max.bytes": 4_000_000, **settings})
        for number, message in enumerate(messages):
            key = keys[number] if keys else None
            producer.produce(self.topic, message, key, partition=1, headers=list(headers))
        assert producer.flush(30) == 0

    def replay(self, sessions: Iterable[pa.Table], **options: Any) -> int:
        with ReplayProducer(self.topic, {"bootstrap.servers": self.kafka.bootstrap}) as producer:
            return Replay(sessions).send(producer, **options)

    def caught_up(self, seconds: float = 90) -> bool:
        return eventually(Progress(self.kafka.bootstrap, self.topic).caught_up, seconds)

    def ingest(self, *arguments: str) -> Any:
        """Runs `privacyplease ingest dlq …` and returns the JSON that it prints."""
        target = ["--proxy", self.servers.proxy, "--certificates", str(self.servers.certificates)]
        kafka = ["--bootstrap", self.kafka.bootstrap, "--topic", self.topic]
        done = command_line.run(self.servers.home, *target, "ingest", *arguments, "--json", *kafka)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def letters(self) -> list[dict[str, Any]]:
        letters: list[dict[str, Any]] = self.ingest("dlq", "list", "--show")["letters"]
        return letters

    @property
    def logs(self) -> str:
        """The logs of all processes of the run."""
        files = [*self.folder.glob("*.log"), *(self.servers.home / "run").glob("*.log")]
        return "\n".join(file.read_text(errors="replace") for file in files)


def session(number: int, day: datetime = datetime(2024, 10, 1, tzinfo=UTC), **fields: str) -> bytes:
    """A session that starts on a day, in the stream format."""
    start = (day + timedelta(seconds=7 * number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    mac = f"02:00:00:00:{number >> 8 & 255:02x}:{number & 255:02x}"
    values = {"mac": mac, "start": start, "place": f"Hall-{number % 5}", "device": "", "length": "60", **fields}
    columns = ["", values["mac"], values["start"], "", values["place"], values["device"], *[""] * 5, values["length"]]
    return "\t".join([*columns, "", ""]).encode()
