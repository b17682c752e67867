"""One member of a consumer group: reads batches of messages, and commits those that are done.

Kafka's client makes its callbacks from within `read_batch` and `wait_for_room`, so all of this runs in one thread.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.errors import BrokerError, SettingsError
from privacyplease.ingest.kafka.broker import Settings
from privacyplease.ingest.kafka.consumer.batch import MessageBatch, end_offsets
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches
from privacyplease.ingest.kafka.consumer.lost_messages import LostMessages
from privacyplease.ingest.kafka.consumer.partition_claims import PartitionClaims
from privacyplease.ingest.kafka.service_availability import ServiceAvailability

__all__ = ["GroupMember"]

_log = logging.getLogger("privacyplease.ingest.kafka.consumer")
_client_log = logging.getLogger("privacyplease.ingest.kafka.client")

# The user's settings may override these.
_DEFAULTS = {
    "auto.offset.reset": "earliest",
    # How soon the partitions of a member that died are reassigned.
    "session.timeout.ms": 10_000,
    # Bounds what is prefetched, and with it memory, however much the topic holds.
    "queued.max.messages.kbytes": 16_384,
    "fetch.max.bytes": 8_388_608,
    # How long fetching pauses when the queue is full; with the default of a second a fast consumer would run dry.
    "fetch.queue.backoff.ms": 10,
    # How soon a topic is found that was created after the consumer started.
    "topic.metadata.refresh.interval.ms": 10_000,
    "log_level": 4,  # warnings
}

# Errors reach us through `error_cb` too; the client's own log would repeat them at each attempt.
_REPEATED = {"FAIL", "ERROR"}

# What lasts until somebody permits it: that the broker answers does not show that it is over.
_STANDING = {
    KafkaError.GROUP_AUTHORIZATION_FAILED: "group",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "topic",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "cluster",
}
_LOST_POSITIONS = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}

# The delivery guarantees rest on these.
_FIXED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
}

_READ_MESSAGES = 250  # read from the queue at a time: of the largest that Kafka accepts by default, 250 MB
_MAX_BYTES = 4 << 20  # of a batch, plus what the last read adds
_PAUSE_S = 0.5
_REVOKE_S = 10.0
_PROBE_S = 1.0


class GroupMember:
    """Reads a topic as a member of a group.

    Args:
        topic: The topic.
        settings: Settings of Kafka's client, with `group.id`.
        in_flight: The batches in flight; a revoked partition waits for them.
        kafka: Whether Kafka is available.
        given_up: Whether there is no point in waiting for batches in flight.

    Attributes:
        lost: How many messages were deleted before they were read.

    Raises:
        SettingsError: If Kafka's client rejects the settings, or the topic is a pattern.
    """

    def __init__(
        self,
        topic: str,
        settings: Settings,
        in_flight: InFlightBatches,
        kafka: ServiceAvailability,
        given_up: Callable[[], bool],
    ) -> None:
        if topic.startswith("^"):
            raise SettingsError(f"expected the name of one topic, got a pattern: {topic!r}; start a consumer for each")
        self._topic = topic
        self._group = str(settings.get("group.id", ""))
        self._in_flight = in_flight
        self._kafka = kafka
        self._given_up = given_up
        self._claims = PartitionClaims()
        self._read: list[Message] = []  # for the next batch
        self._paused = False
        self._standing = False
        self._lost = LostMessages(self._position, self._first_offset)
        self._partitions: frozenset[int] = frozenset()
        callbacks = {"error_cb": self._on_error, "on_commit": self._on_commit, "logger": _client_log}
        try:
            self._consumer = Consumer({**_DEFAULTS, **settings, **_FIXED, **callbacks})
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client accepts: {error.args[0].str()}") from error
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    @property
    def lost(self) -> int:
        """See above."""
        return self._lost.count

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that are assigned to it. May be read from any thread."""
        return self._partitions

    def read_batch(self, max_messages: int, seconds: float) -> MessageBatch | None:
        """Reads the next batch: up to `max_messages`, or what arrives within the time; None if nothing does."""
        self._resume()
        deadline = time.monotonic() + seconds
        size = sum(map(len, self._read))
        while (missing := max_messages - len(self._read)) > 0 and size < _MAX_BYTES:
            if (remaining := deadline - time.monotonic()) <= 0:
                break
            messages = self._poll(min(missing, _READ_MESSAGES), min(remaining, _PAUSE_S))
            self._read += messages
            size += sum(map(len, messages))
        if self._kafka.unavailable and not self._standing:
            self._probe()
        return self._batch()

    def wait_for_room(self) -> None:
        """Waits a moment for room among the batches in flight, while remaining a live member of the group."""
        if self._in_flight.wait_for_room(_PAUSE_S):
            return
        # Every time, to pause newly assigned partitions too. Messages that arrive nevertheless are kept.
        self._consumer.pause(self._consumer.assignment())
        self._paused = True
        self._read += self._poll(_READ_MESSAGES, 0)

    def commit(self, *, wait: bool = False) -> None:
        """Commits the batches that are done; with `wait`, returns once Kafka has responded."""
        for batch in self._in_flight.pop_done():
            self._claims.complete(batch)
        if offsets := self._claims.uncommitted():
            self._commit(offsets, wait=wait)

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    def _resume(self) -> None:
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False

    def _poll(self, max_messages: int, seconds: float) -> list[Message]:
        messages = self._consumer.consume(max_messages, timeout=seconds)
        good = [message for message in messages if message.error() is None]
        if good:
            self._succeeded()
            self._lost.check(good)
        for message in messages if len(good) < len(messages) else ():
            if (error := message.error()) is not None:
                self._require_position(error, message.partition())
                self._on_error(error)
        return good

    def _succeeded(self) -> None:
        self._standing = False
        self._kafka.succeeded()

    def _batch(self) -> MessageBatch | None:
        messages, self._read = self._read, []
        ends = end_offsets(messages)
        return MessageBatch(messages, ends, self._claims.current(ends)) if messages else None

    def _commit(self, offsets: Mapping[int, int], *, wait: bool) -> None:
        positions = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        self._claims.commit_started(offsets)
        try:
            if wait:
                self._consumer.commit(offsets=positions, asynchronous=False)
            else:
                self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            self._on_commit(error.args[0], positions)

    def _on_commit(self, error: KafkaError | None, positions: Sequence[TopicPartition]) -> None:
        failed = [position for position in positions if error is not None or position.error is not None]
        self._claims.commit_failed(position.partition for position in failed)
        if failed:
            _log.debug("commit of %d partitions failed: %s", len(failed), (error or failed[0].error))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._succeeded()
        self._claims.assign(each.partition for each in partitions)
        self._partitions |= {each.partition for each in partitions}
        _log.info("partitions assigned: %s", _listed(partitions))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Gives the batches in flight some time to finish before the partitions go to another member."""
        self._in_flight.wait_for_all(_REVOKE_S, given_up=self._given_up)
        self.commit(wait=True)
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        revoked = {each.partition for each in partitions}
        self._claims.revoke(revoked)
        for partition in revoked:
            self._lost.forget(partition)
        self._partitions -= revoked
        # If one is assigned to us again, it is read again from its committed offset. (Messages that the current call
        # of `consume` returns are from after that: librdkafka removes outdated messages from it.)
        self._read = [message for message in self._read if message.partition() not in revoked]
        _log.info("partitions revoked: %s", _listed(partitions))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            raise BrokerError(f"Kafka's client has failed: {error.str()}")
        if (kind := _STANDING.get(error.code())) is not None:
            self._standing = True
            name = {"group": f" {self._group!r}", "topic": f" {self._topic!r}"}.get(kind, "")
            self._kafka.failed(f"this user may not use the {kind}{name} ({error.name()})")
        else:
            self._kafka.failed(error.name())

    def _require_position(self, error: KafkaError, partition: int | None) -> None:
        """Ends the run if the user wants no other position than the committed one, and that is gone.

        Raises:
            BrokerError: As above.
        """
        if error.code() in _LOST_POSITIONS:
            raise BrokerError(
                f"expected the group's position in partition {partition} of {self._topic!r}, got {error.name()}: its "
                "messages were deleted, and auto.offset.reset=error; set another to go on"
            )

    def _position(self, partition: int) -> int | None:
        try:
            (committed,) = self._consumer.committed([TopicPartition(self._topic, partition)], timeout=_PROBE_S)
        except KafkaException:
            return None
        return committed.offset if committed.error is None else None

    def _first_offset(self, partition: int) -> int | None:
        try:
            bounds = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_PROBE_S)
        except KafkaException:
            return None
        return bounds[0] if bounds else None

    def _probe(self) -> None:
        """Asks the broker for the topic: while the topic has no new messages, nothing else shows that it is back."""
        try:
            topics = self._consumer.list_topics(self._topic, timeout=_PROBE_S).topics
        except KafkaException:
            return
        if topics[self._topic].error is None:
            self._succeeded()


def _listed(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(str(each.partition) for each in sorted(partitions)) or "none"


def _is_new(record: logging.LogRecord) -> bool:
    """Whether a line of the client's own log, of which the first argument is its kind, says what we do not know yet."""
    return not (isinstance(record.args, tuple) and record.args and record.args[0] in _REPEATED)


_client_log.addFilter(_is_new)
