"""How far a group lags behind, as Kafka says."""

import threading
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from privacyplease.ingest.kafka.broker import Settings

__all__ = ["GroupLag"]

_ANSWER_S = 2.0


class GroupLag:
    """Asks Kafka over a connection of its own, which does not join the group. Safe to use from many threads.

    Args:
        topic: The topic.
        settings: Settings of Kafka's client, with `group.id`.
    """

    def __init__(self, topic: str, settings: Settings) -> None:
        self._topic = topic
        self._consumer = Consumer({**settings, "enable.auto.commit": False, "log_level": 2})
        self._lock = threading.Lock()

    def of(self, partitions: Iterable[int]) -> dict[int, int]:
        """How many messages of each partition the group has not committed; empty while Kafka is unavailable."""
        wanted = [TopicPartition(self._topic, partition) for partition in partitions]
        try:
            with self._lock:
                committed = self._consumer.committed(wanted, timeout=_ANSWER_S) if wanted else []
                ends = [(each, self._consumer.get_watermark_offsets(each, timeout=_ANSWER_S)) for each in committed]
        except KafkaException:
            return {}
        return {each.partition: max(end[1] - max(each.offset, end[0]), 0) for each, end in ends if end is not None}
