"""The group member over a scripted Kafka client."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.errors import BrokerError
from privacyplease.ingest.kafka.consumer import group_member
from privacyplease.ingest.kafka.consumer.group_member import GroupMember
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches
from privacyplease.ingest.kafka.service_availability import ServiceAvailability

Event = Callable[["FakeConsumer"], list[Message]]


def message(partition: int, offset: int) -> Message:
    return Message(topic="wifi", partition=partition, offset=offset, value=b"x")


def messages(partition: int, first: int, end: int) -> Event:
    return lambda kafka: [message(partition, offset) for offset in range(first, end)]


def partitions(*numbers: int) -> list[TopicPartition]:
    return [TopicPartition("wifi", number) for number in numbers]


def assign(*numbers: int) -> Event:
    def event(kafka: "FakeConsumer") -> list[Message]:
        kafka.callbacks["on_assign"](kafka, partitions(*numbers))
        return []

    return event


def revoke(*numbers: int, callback: str = "on_revoke") -> Event:
    def event(kafka: "FakeConsumer") -> list[Message]:
        kafka.callbacks[callback](kafka, partitions(*numbers))
        return []

    return event


class FakeConsumer:
    """Kafka's client. Each call of `consume` triggers the next event."""

    events: list[Event]

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.callbacks: dict[str, Any] = {}
        self.commits: list[dict[int, int]] = []
        self.paused: list[bool] = []
        self.failing = False

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def consume(self, most: int, timeout: float) -> list[Message]:
        return self.events.pop(0)(self) if self.events else []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        if self.failing:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self.commits.append({each.partition: each.offset for each in offsets})

    def assignment(self) -> list[TopicPartition]:
        return partitions(0, 1)

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused.append(True)

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused.append(False)


class Setup:
    def __init__(self, *events: Event) -> None:
        FakeConsumer.events = list(events)
        self.in_flight, self.availability = InFlightBatches(1), ServiceAvailability("kafka")
        self.member = GroupMember("wifi", {}, self.in_flight, self.availability, lambda: False)
        client: Any = self.member._consumer
        self.kafka: FakeConsumer = client

    def read_batch(self) -> dict[int, int]:
        """Reads the next batch and marks it as done at once; returns its end offset for each partition."""
        batch = self.member.read_batch(1_000, 0.05)
        assert batch is not None
        self.in_flight.add(batch)
        self.in_flight.mark_done(batch)
        return batch.ends


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_member, "Consumer", FakeConsumer)
    monkeypatch.setattr(group_member, "_PAUSE_S", 0.05)


def test_only_batches_that_are_done_are_committed_and_only_once() -> None:
    setup = Setup(assign(0, 1), messages(0, 5, 8), messages(1, 0, 2))
    assert setup.read_batch() == {0: 8, 1: 2}
    setup.member.commit()
    setup.member.commit()
    assert setup.kafka.commits == [{0: 8, 1: 2}]


def test_a_failed_commit_is_repeated() -> None:
    setup = Setup(assign(0), messages(0, 0, 3))
    setup.read_batch()
    setup.kafka.failing = True
    setup.member.commit()
    setup.kafka.failing = False
    setup.member.commit()
    assert setup.kafka.commits == [{0: 3}]


def test_batches_in_flight_are_committed_before_a_partition_is_revoked() -> None:
    setup = Setup(assign(0, 1), messages(0, 0, 3), messages(1, 0, 3))
    setup.read_batch()
    FakeConsumer.events = [revoke(0), messages(1, 3, 5)]
    assert setup.read_batch() == {1: 5}
    assert setup.kafka.commits == [{0: 3, 1: 3}]


def test_a_lost_partition_is_not_committed() -> None:
    setup = Setup(assign(0), messages(0, 0, 3))
    setup.read_batch()
    FakeConsumer.events = [revoke(0, callback="on_lost")]
    assert setup.member.read_batch(10, 0.05) is None
    setup.member.commit()
    assert setup.kafka.commits == []


def test_messages_read_before_a_partition_was_lost_and_assigned_again_are_not_in_the_batch() -> None:
    """Otherwise their end would be committed, and messages between the committed offset and them might be lost."""
    setup = Setup(assign(0, 1), messages(0, 10, 12), messages(1, 0, 1), revoke(0, callback="on_lost"), assign(0))
    assert setup.read_batch() == {1: 1}
    setup.member.commit()
    assert setup.kafka.commits == [{1: 1}]


def test_while_too_many_batches_are_in_flight_partitions_pause_and_messages_that_arrive_are_kept() -> None:
    setup = Setup(assign(0), messages(0, 0, 3))
    batch = setup.member.read_batch(1_000, 0.05)
    assert batch is not None
    setup.in_flight.add(batch)
    FakeConsumer.events = [messages(0, 3, 5)]
    setup.member.wait_for_room()
    setup.member.wait_for_room()
    assert setup.kafka.paused == [True, True]
    setup.in_flight.mark_done(batch)
    setup.member.wait_for_room()
    setup.member.commit()
    assert setup.read_batch() == {0: 5}
    assert setup.kafka.paused == [True, True, False]


def test_a_fatal_error_is_raised_and_a_transient_one_makes_kafka_unavailable() -> None:
    broken = Message(error=KafkaError(KafkaError._TRANSPORT))
    fatal = Message(error=KafkaError(KafkaError._FATAL, fatal=True))
    setup = Setup(lambda kafka: [broken], lambda kafka: [fatal])
    with pytest.raises(BrokerError):
        setup.member.read_batch(10, 0.05)
    assert setup.availability.unavailable


def test_user_settings_cannot_override_those_that_delivery_guarantees_rest_on() -> None:
    client: Any = GroupMember(
        "wifi",
        {"enable.auto.commit": True, "session.timeout.ms": 6_000},
        InFlightBatches(1),
        ServiceAvailability("k"),
        bool,
    )
    settings = client._consumer.settings
    assert settings["enable.auto.commit"] is False
    assert settings["session.timeout.ms"] == 6_000
