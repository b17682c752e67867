"""Reads the dead letters that a topic has now."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.errors import SettingsError
from privacyplease.ingest.kafka.broker import Settings, no_response
from privacyplease.ingest.kafka.dead_letters.dead_letter import DeadLetter, dead_letter_topic

__all__ = ["DeadLetterReader", "StoredDeadLetter"]

_RESPONSE_S = 15.0
_POLL_S = 0.2
_POLL_MESSAGES = 250
_CHUNK_BYTES = 8 << 20


class StoredDeadLetter(NamedTuple):
    """A message of the dead letter topic.

    Attributes:
        partition: Its partition there.
        offset: Its offset there.
        redriven: Whether a replay has processed it.
        letter: The dead letter; None if the message is not one.
    """

    partition: int
    offset: int
    redriven: bool
    letter: DeadLetter | None


class DeadLetterReader:
    """The dead letters of a topic when it is opened. How far they were replayed is kept as a consumer group's offsets.

    Args:
        topic: The topic whose dead letters are read.
        settings: Settings of Kafka's client.

    Raises:
        SettingsError: If Kafka's client rejects the settings.
        BrokerError: If no broker responds.
    """

    def __init__(self, topic: str, settings: Settings) -> None:
        self._topic = dead_letter_topic(topic)
        fixed = {"group.id": f"{self._topic}.replay", "enable.auto.commit": False, "log_level": 2}
        defaults = {"queued.max.messages.kbytes": 32_768, "fetch.queue.backoff.ms": 10}
        try:
            self._consumer = Consumer({**defaults, **settings, **fixed})
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client accepts: {error.args[0].str()}") from error
        self._ends, self._redriven = self._bounds()

    def read_all(self) -> Iterator[list[StoredDeadLetter]]:
        """All dead letters, in chunks; each partition's in order."""
        return self._read(dict.fromkeys(self._ends, 0))

    def read_pending(self) -> Iterator[list[StoredDeadLetter]]:
        """The dead letters that no replay has processed, in chunks; each partition's in order."""
        return self._read(self._redriven)

    def mark_redriven(self, letters: list[StoredDeadLetter]) -> None:
        """Commits that dead letters have been replayed.

        Raises:
            BrokerError: Kafka did not accept the commit.
        """
        ends = {letter.partition: letter.offset + 1 for letter in letters}
        try:
            offsets = [TopicPartition(self._topic, partition, end) for partition, end in ends.items()]
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise no_response(error, self._topic) from error

    def _bounds(self) -> tuple[dict[int, int], dict[int, int]]:
        """For each partition with dead letters, the offset after its last, and where the next replay starts."""
        try:
            metadata = self._consumer.list_topics(self._topic, timeout=_RESPONSE_S).topics[self._topic]
            if metadata.error is not None and metadata.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(metadata.error)
            partitions = [TopicPartition(self._topic, partition) for partition in metadata.partitions]
            watermarks = {
                each.partition: self._consumer.get_watermark_offsets(each, timeout=_RESPONSE_S) for each in partitions
            }
            committed = self._consumer.committed(partitions, timeout=_RESPONSE_S) if partitions else []
        except KafkaException as error:
            raise no_response(error, self._topic) from error
        ends = {partition: end for partition, (first, end) in watermarks.items() if end > first}
        redriven = {each.partition: each.offset if each.offset != OFFSET_INVALID else 0 for each in committed}
        return ends, {partition: max(redriven[partition], watermarks[partition][0]) for partition in ends}

    def _read(self, starts: Mapping[int, int]) -> Iterator[list[StoredDeadLetter]]:
        remaining = {partition: end for partition, end in self._ends.items() if starts[partition] < end}
        self._consumer.assign([TopicPartition(self._topic, partition, starts[partition]) for partition in remaining])
        while remaining:
            chunk = self._chunk(remaining)
            if chunk:
                yield [self._stored(message) for message in chunk]
        self._consumer.unassign()

    def _chunk(self, remaining: dict[int, int]) -> list[Message]:
        """Some messages; removes from `remaining` the partitions that have been read to their end."""
        chunk, size = list[Message](), 0
        while remaining and size < _CHUNK_BYTES:
            messages = self._consumer.consume(_POLL_MESSAGES, timeout=_POLL_S)
            wanted = [message for message in messages if self._is_wanted(message)]
            chunk += wanted
            size += sum(map(len, wanted))
            for position in self._consumer.position([TopicPartition(self._topic, each) for each in remaining]):
                if position.offset >= remaining[position.partition]:
                    del remaining[position.partition]
            if chunk and not messages:
                break
        return chunk

    def _is_wanted(self, message: Message) -> bool:
        """Whether it was there when the reader was opened. Errors arrive as messages too; they are transient."""
        return message.error() is None and (message.offset() or 0) < self._ends[message.partition() or 0]

    def _stored(self, message: Message) -> StoredDeadLetter:
        partition, offset = message.partition() or 0, message.offset() or 0
        return StoredDeadLetter(partition, offset, offset < self._redriven[partition], DeadLetter.read(message))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
