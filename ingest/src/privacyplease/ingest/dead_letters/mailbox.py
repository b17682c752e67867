"""Reads the dead letters that are there now."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.broker import Settings
from privacyplease.ingest.dead_letters.letter import Letter, dead_letter_topic
from privacyplease.ingest.stream_errors import BrokerError, SettingsError

__all__ = ["Mailbox", "Received"]

_ANSWER_S = 15.0
_PIECE_S = 0.2
_AT_ONCE = 250
_PIECE_BYTES = 8 << 20


class Received(NamedTuple):
    """A message of the dead letter topic.

    Attributes:
        partition: Its partition there.
        offset: Its offset there.
        redriven: Whether a replay has been past it.
        letter: The letter; None for a message that is none.
    """

    partition: int
    offset: int
    redriven: bool
    letter: Letter | None


class Mailbox:
    """The dead letters of a topic, as they are when it is opened. What has been replayed is kept by a group of its own.

    Args:
        topic: The topic whose letters they are.
        settings: Of Kafka's client.

    Raises:
        SettingsError: If the settings do not go together.
        BrokerError: If no broker answers.
    """

    def __init__(self, topic: str, settings: Settings) -> None:
        self._topic = dead_letter_topic(topic)
        own = {"group.id": f"{self._topic}.replay", "enable.auto.commit": False, "log_level": 2}
        bounds = {"queued.max.messages.kbytes": 32_768, "fetch.queue.backoff.ms": 10}
        try:
            self._consumer = Consumer({**bounds, **settings, **own})
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client takes: {error.args[0].str()}") from error
        self._ends, self._redriven = self._bounds()

    @property
    def topic(self) -> str:
        """The dead letter topic."""
        return self._topic

    def everything(self) -> Iterator[list[Received]]:
        """All letters, in pieces; each partition's in order."""
        return self._read(dict.fromkeys(self._ends, 0))

    def waiting(self) -> Iterator[list[Received]]:
        """Letters that no replay has been past, in pieces; each partition's in order."""
        return self._read(self._redriven)

    def passed(self, received: list[Received]) -> None:
        """Takes note that letters have been replayed.

        Raises:
            BrokerError: Kafka did not take the note.
        """
        ends = {each.partition: each.offset + 1 for each in received}
        try:
            offsets = [TopicPartition(self._topic, partition, end) for partition, end in ends.items()]
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise _unanswered(error) from error

    def _bounds(self) -> tuple[dict[int, int], dict[int, int]]:
        """For each partition that holds letters, where they end now, and where the last replay ended."""
        try:
            found = self._consumer.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic]
            if found.error is not None and found.error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise KafkaException(found.error)
            places = [TopicPartition(self._topic, partition) for partition in found.partitions]
            marks = {
                place.partition: self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S) for place in places
            }
            committed = self._consumer.committed(places, timeout=_ANSWER_S) if places else []
        except KafkaException as error:
            raise _unanswered(error) from error
        ends = {partition: end for partition, (first, end) in marks.items() if end > first}
        redriven = {each.partition: each.offset if each.offset != OFFSET_INVALID else 0 for each in committed}
        return ends, {partition: max(redriven[partition], marks[partition][0]) for partition in ends}

    def _read(self, starts: Mapping[int, int]) -> Iterator[list[Received]]:
        left = {partition: end for partition, end in self._ends.items() if starts[partition] < end}
        self._consumer.assign([TopicPartition(self._topic, partition, starts[partition]) for partition in left])
        while left:
            piece = self._piece(left)
            if piece:
                yield [self._received(message) for message in piece]
        self._consumer.unassign()

    def _piece(self, left: dict[int, int]) -> list[Message]:
        """Some messages; removes from `left` what has been read to its end."""
        piece, size = list[Message](), 0
        while left and size < _PIECE_BYTES:
            taken = self._consumer.consume(_AT_ONCE, timeout=_PIECE_S)
            # An error comes as a message; what is transient passes.
            good = [
                each
                for each in taken
                if each.error() is None and (each.offset() or 0) < self._ends[each.partition() or 0]
            ]
            piece += good
            size += sum(map(len, good))
            for place in self._consumer.position([TopicPartition(self._topic, partition) for partition in left]):
                if place.offset >= left[place.partition]:
                    del left[place.partition]
            if piece and not taken:
                break
        return piece

    def _is_there(self, message: Message) -> bool:
        """Whether it was there when the mailbox was opened; an error comes as a message too, and passes."""
        return message.error() is None and (message.offset() or 0) < self._ends[message.partition() or 0]

    def _received(self, message: Message) -> Received:
        partition, offset = message.partition() or 0, message.offset() or 0
        return Received(partition, offset, offset < self._redriven[partition], Letter.read(message))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()


def _unanswered(error: KafkaException) -> BrokerError:
    return BrokerError(f"expected an answer from a Kafka broker, got: {error.args[0].str()}")
