"""One member of a group: reads batches of messages, and commits what is done.

Kafka's client calls back from within `gather` and `hold`, so all of this runs in one thread.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.broker import Settings
from privacyplease.ingest.consumer.batch import Batch, ends_of
from privacyplease.ingest.consumer.claims import Claims
from privacyplease.ingest.consumer.flight import Flight
from privacyplease.ingest.link import Link
from privacyplease.ingest.stream_errors import BrokerError, SettingsError

__all__ = ["Intake"]

_log = logging.getLogger("privacyplease.ingest.consumer")

# What the user's settings may change.
_DEFAULTS = {
    "auto.offset.reset": "earliest",
    # A member that died frees its partitions after so long.
    "session.timeout.ms": 10_000,
    # What is fetched ahead, whatever the topic holds: with it memory is bounded.
    "queued.max.messages.kbytes": 16_384,
    "fetch.max.bytes": 8_388_608,
    # How long a full queue is left alone; the default is a second, in which a fast consumer would run dry.
    "fetch.queue.backoff.ms": 10,
    # A topic that is made after the consumer started is found so soon.
    "topic.metadata.refresh.interval.ms": 10_000,
    # What it has to say comes as errors too; lines of its own would come at each attempt.
    "log_level": 2,
}

# What the promises rest on.
_FIXED = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
}

_AT_ONCE = 250  # messages taken from the queue at a time: of the largest that Kafka takes by default, 250 MB
_MOST_BYTES = 4 << 20  # of a batch, but for what the last of these pieces adds
_PAUSE_S = 0.5
_REVOKE_S = 10.0
_PROBE_S = 1.0


class Intake:
    """Reads a topic as a member of a group.

    Args:
        topic: The topic.
        settings: Of Kafka's client, with its `group.id`.
        flight: The batches under way, which a partition that is taken away waits for.
        kafka: Told whether Kafka answers.
        given_up: Whether nobody should wait for batches under way.

    Raises:
        SettingsError: If the settings do not go together.
    """

    def __init__(
        self,
        topic: str,
        settings: Settings,
        flight: Flight,
        kafka: Link,
        given_up: Callable[[], bool],
    ) -> None:
        self._topic = topic
        self._flight = flight
        self._kafka = kafka
        self._given_up = given_up
        self._claims = Claims()
        self._read: list[Message] = []  # for the next batch
        self._paused = False
        calls = {"error_cb": self._heard, "on_commit": self._committed}
        try:
            self._consumer = Consumer({**_DEFAULTS, **settings, **_FIXED, **calls})
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client takes: {error.args[0].str()}") from error
        self._consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def gather(self, most: int, seconds: float) -> Batch | None:
        """Reads the next batch: up to so many messages, or what comes within a time; None if nothing does."""
        self._resume()
        deadline = time.monotonic() + seconds
        size = sum(map(len, self._read))
        while (missing := most - len(self._read)) > 0 and size < _MOST_BYTES:
            if (left := deadline - time.monotonic()) <= 0:
                break
            taken = self._take(min(missing, _AT_ONCE), min(left, _PAUSE_S))
            self._read += taken
            size += sum(map(len, taken))
        if self._kafka.away:
            self._probe()
        return self._batch()

    def hold(self) -> None:
        """Waits for room among the batches under way, for a while, and answers to the group meanwhile."""
        if self._flight.wait_for_room(_PAUSE_S):
            return
        # Again each time: partitions that came since are to wait too. What comes all the same is kept.
        self._consumer.pause(self._consumer.assignment())
        self._paused = True
        self._read += self._take(_AT_ONCE, 0)

    def commit(self, *, wait: bool = False) -> None:
        """Commits what is done; with `wait`, returns when Kafka has answered."""
        for batch in self._flight.finished():
            self._claims.done(batch)
        if offsets := self._claims.uncommitted():
            self._commit(offsets, wait=wait)

    def close(self) -> None:
        """Leaves the group."""
        self._consumer.close()

    def _resume(self) -> None:
        if self._paused:
            self._consumer.resume(self._consumer.assignment())
            self._paused = False

    def _take(self, most: int, seconds: float) -> list[Message]:
        taken = self._consumer.consume(most, timeout=seconds)
        good = [message for message in taken if message.error() is None]
        if good:
            self._kafka.answered()
        for message in taken if len(good) < len(taken) else ():
            if (error := message.error()) is not None:
                self._heard(error)
        return good

    def _batch(self) -> Batch | None:
        messages, self._read = self._read, []
        ends = ends_of(messages)
        return Batch(messages, ends, self._claims.of(ends)) if messages else None

    def _commit(self, offsets: Mapping[int, int], *, wait: bool) -> None:
        positions = [TopicPartition(self._topic, partition, offset) for partition, offset in offsets.items()]
        self._claims.committing(offsets)
        try:
            if wait:
                self._consumer.commit(offsets=positions, asynchronous=False)
            else:
                self._consumer.commit(offsets=positions, asynchronous=True)
        except KafkaException as error:
            self._committed(error.args[0], positions)

    def _committed(self, error: KafkaError | None, positions: Sequence[TopicPartition]) -> None:
        failed = [each for each in positions if error is not None or each.error is not None]
        self._claims.failed(each.partition for each in failed)
        if failed:
            _log.debug("commit of %d partitions failed: %s", len(failed), (error or failed[0].error))

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._kafka.answered()
        self._claims.assigned(each.partition for each in partitions)
        _log.info("partitions taken: %s", _listed(partitions))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """What is under way may finish, for a while; then the partitions are another's."""
        self._flight.wait_for_all(_REVOKE_S, given_up=self._given_up)
        self.commit(wait=True)
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {each.partition for each in partitions}
        self._claims.revoked(gone)
        # Should one come back, it is read again from its committed offset. (What the call under way returns comes after
        # that: librdkafka takes outdated messages out of it.)
        self._read = [message for message in self._read if message.partition() not in gone]
        _log.info("partitions left: %s", _listed(partitions))

    def _heard(self, error: KafkaError) -> None:
        if error.fatal():
            raise BrokerError(f"Kafka's client cannot go on: {error.str()}")
        self._kafka.failed(error.name())

    def _probe(self) -> None:
        """A topic that is silent does not tell by itself that the broker is back."""
        try:
            topics = self._consumer.list_topics(self._topic, timeout=_PROBE_S).topics
        except KafkaException:
            return
        if topics[self._topic].error is None:
            self._kafka.answered()


def _listed(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(str(each.partition) for each in sorted(partitions)) or "none"
