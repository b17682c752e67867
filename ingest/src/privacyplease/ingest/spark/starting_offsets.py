"""Where a query starts that takes over from a group of consumers."""

from __future__ import annotations

import json

from confluent_kafka import Consumer, KafkaException, TopicPartition

from privacyplease.ingest.errors import BrokerError
from privacyplease.ingest.kafka.broker import Settings, no_response

__all__ = ["EARLIEST", "offsets_of_group"]

EARLIEST = "earliest"

_EARLIEST_OFFSET = -2  # of Spark's Kafka source
_RESPONSE_S = 15.0


def offsets_of_group(settings: Settings, topic: str, group: str) -> str:
    """The offsets that a group has committed, as Spark's option `startingOffsets`.

    A partition for which it has committed none starts with its earliest message.

    Args:
        settings: Settings of Kafka's client.
        topic: The topic.
        group: The consumer group. Its members must have stopped.

    Raises:
        BrokerError: Kafka does not respond, or has no such topic.
    """
    consumer = Consumer({"log_level": 2, **settings, "group.id": group, "enable.auto.commit": False})
    try:
        metadata = consumer.list_topics(topic, timeout=_RESPONSE_S).topics[topic]
        if metadata.error is not None:
            raise BrokerError(f"expected the topic {topic!r} on the broker, got: {metadata.error.str()}")
        partitions = [TopicPartition(topic, partition) for partition in metadata.partitions]
        committed = consumer.committed(partitions, timeout=_RESPONSE_S)
    except KafkaException as error:
        raise no_response(error, topic) from error
    finally:
        consumer.close()
    starts = {str(each.partition): each.offset if each.offset >= 0 else _EARLIEST_OFFSET for each in committed}
    return json.dumps({topic: starts})
