"""Topics on a Kafka broker: the private one, or the one that `KAFKA_BOOTSTRAP` names."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

_SECONDS = 30
_LEADERLESS = (
    *(KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION),
    *(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
)

T = TypeVar("T")


class Topics:
    """Creates topics on a broker, and reads all their messages.

    Args:
        bootstrap: Where the broker listens, as "host:port".
    """

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def admin(self) -> AdminClient:
        """A new admin client."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def create_topic(self, name: str | None = None, *, partitions: int = 4, **settings: str) -> str:
        """Creates a topic that keeps all messages, and returns its name: a new one if none is given.

        Args:
            name: Its name.
            partitions: How many it has.
            settings: Further settings of the topic, with _ for . in their names.
        """
        topic = name or f"test-{uuid4().hex}"
        config = {"retention.ms": "-1"} | {key.replace("_", "."): value for key, value in settings.items()}
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config)
        admin = self.admin()  # kept alive until the response arrives
        admin.create_topics([new], operation_timeout=_SECONDS)[topic].result(_SECONDS)
        return topic

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic."""
        admin = self.admin()
        admin.delete_topics([topic])[topic].result(_SECONDS)

    def delete_messages(self, topic: str, partition: int, before: int) -> None:
        """Deletes the messages of a partition before an offset, as retention does."""
        admin = self.admin()
        position = TopicPartition(topic, partition, before)
        for deleted in admin.delete_records([position]).values():
            deleted.result(_SECONDS)

    def messages(self, topic: str) -> list[Message]:
        """All messages that the topic has now, sorted by partition and offset."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": f"reader-{uuid4().hex}", "log_level": 0})
        try:
            return sorted(_all(consumer, topic), key=lambda each: (each.partition() or 0, each.offset() or 0))
        finally:
            consumer.close()


def watermarks(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """The first offset of a partition and the one after its last; waits while it has no leader."""
    return with_leader(lambda: consumer.get_watermark_offsets(partition, timeout=_SECONDS))


def with_leader(request: Callable[[], T]) -> T:
    """Repeats a request while a partition has no leader or a group has no coordinator."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            return request()
        except KafkaException as error:
            if error.args[0].code() not in _LEADERLESS or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _all(consumer: Consumer, topic: str) -> list[Message]:
    partitions = consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions
    offsets = {each: watermarks(consumer, TopicPartition(topic, each)) for each in partitions}
    consumer.assign([TopicPartition(topic, each, first) for each, (first, _) in offsets.items()])
    expected, received = sum(after - first for first, after in offsets.values()), list[Message]()
    deadline = time.monotonic() + _SECONDS
    while len(received) < expected:
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {expected:,} messages, got {len(received):,}")
        # Errors arrive as messages; transient ones are ignored until the deadline.
        batch = consumer.consume(min(10_000, expected - len(received)), timeout=0.2)
        received += [message for message in batch if message.error() is None]
    return received
