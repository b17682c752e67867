"""Notices messages that the topic deleted before they were read: its retention was shorter than the consumer was away.

Kafka's client goes on at the first message that is left and says nothing. A gap alone proves no loss, since compaction
and transactions leave gaps too; so the partition's first offset is asked for, at most now and then.
"""

import logging
import time
from collections.abc import Callable, Sequence

from confluent_kafka import Message

__all__ = ["LostMessages"]

_log = logging.getLogger("privacyplease.ingest.kafka.consumer")

_AGAIN_S = 10.0


class LostMessages:
    """The offset that each partition is expected to go on at.

    Args:
        position: Asks the broker for the group's offset in a partition, once after it was assigned; negative if the
            group never read it, None if the broker does not answer.
        first_offset: Asks it for a partition's first offset; None if it does not answer.

    Attributes:
        count: How many messages were deleted before they were read.
    """

    def __init__(self, position: Callable[[int], int | None], first_offset: Callable[[int], int | None]) -> None:
        self._position = position
        self._first_offset = first_offset
        self._expected: dict[int, int] = {}
        self._asked: dict[int, float] = {}
        self.count = 0

    def forget(self, partition: int) -> None:
        """Forgets a partition that was revoked."""
        self._expected.pop(partition, None)
        self._asked.pop(partition, None)

    def check(self, messages: Sequence[Message]) -> None:
        """Compares messages, each partition's in order, with what was expected, and logs what was lost."""
        for message in messages:  # of which there may be hundreds of thousands a second
            partition, offset = message.partition() or 0, message.offset() or 0
            if self._expected.get(partition) != offset:
                self._jumped(partition, offset)
            self._expected[partition] = offset + 1

    def _jumped(self, partition: int, offset: int) -> None:
        """Looks into a message that is not the one after the last, or the first since the partition was assigned."""
        expected = self._expected[partition] if partition in self._expected else self._position(partition)
        if expected is not None and 0 <= expected < offset and self._may_ask(partition):
            self._look(partition, expected)

    def _may_ask(self, partition: int) -> bool:
        now = time.monotonic()
        if now - self._asked.get(partition, -_AGAIN_S) < _AGAIN_S:
            return False
        self._asked[partition] = now
        return True

    def _look(self, partition: int, expected: int) -> None:
        first = self._first_offset(partition)
        if first is not None and first > expected:
            self.count += first - expected
            _log.error(
                "kafka: partition %d: %d messages were deleted before they were read (offsets %d to %d): the topic's "
                "retention is shorter than the time that this group was away",
                partition,
                first - expected,
                expected,
                first - 1,
            )
