"""The group member over a scripted Kafka client."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.errors import BrokerError, SettingsError
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
        self.position, self.first_offset = OFFSET_INVALID, 0

    def subscribe(self, topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def consume(self, most: int, timeout: float) -> list[Message]:
        return self.events.pop(0)(self) if self.events else []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        if self.failing:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self.commits.append({each.partition: each.offset for each in offsets})

    def committed(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [TopicPartition("wifi", each.partition, self.position) for each in partitions]

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> tuple[int, int]:
        return self.first_offset, 1_000

    def list_topics(self, topic: str, timeout: float) -> Any:
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None)})

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
        settings = {"group.id": "building"}
        self.member = GroupMember("wifi", settings, self.in_flight, self.availability, lambda: False)
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


def fails(code: int) -> Event:
    """Kafka's client reports an error about the group."""

    def event(kafka: "FakeConsumer") -> list[Message]:
        kafka.settings["error_cb"](KafkaError(code))
        return []

    return event


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, "this user may not use the group 'building'"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "this user may not use the topic 'wifi'"),
    ],
)
def test_what_is_not_allowed_is_named_and_is_not_over_because_the_broker_answers(
    code: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    setup = Setup(fails(code), fails(code))
    for _ in range(3):
        assert setup.member.read_batch(10, 0.01) is None
    assert setup.availability.unavailable
    assert caplog.text.count(words) == 1
    assert "available again" not in caplog.text
    FakeConsumer.events = [assign(0), messages(0, 0, 1)]
    assert setup.read_batch() == {0: 1}
    assert not setup.availability.unavailable


def test_messages_that_were_deleted_before_they_were_read_are_counted_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = Setup(assign(0), messages(0, 20, 22), messages(0, 40, 41))
    setup.kafka.position, setup.kafka.first_offset = 5, 20
    assert setup.read_batch() == {0: 41}
    assert setup.member.lost == 15  # the later gap is one of compaction, or of a transaction
    assert "partition 0: 15 messages were deleted before they were read (offsets 5 to 19)" in caplog.text


@pytest.mark.parametrize("position", [20, OFFSET_INVALID])
def test_a_first_offset_that_is_no_loss_is_not_said(position: int, caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(assign(0), messages(0, 20, 22), messages(0, 22, 23))
    setup.kafka.position, setup.kafka.first_offset = position, 20
    setup.read_batch()
    assert setup.member.lost == 0
    assert "deleted" not in caplog.text


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE])
def test_a_position_that_is_gone_ends_the_run_if_the_user_wants_no_other(code: int) -> None:
    broken = Message(topic="wifi", partition=3, offset=0, value=b"", error=KafkaError(code))
    setup = Setup(assign(3), lambda kafka: [broken])
    with pytest.raises(BrokerError, match="position in partition 3 of 'wifi'"):
        setup.member.read_batch(10, 0.05)


def test_a_pattern_of_topics_is_refused() -> None:
    with pytest.raises(SettingsError, match="expected the name of one topic, got a pattern"):
        GroupMember("^wifi.*", {}, InFlightBatches(1), ServiceAvailability("kafka"), lambda: False)


def test_the_clients_own_warnings_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    log = Setup().kafka.settings["logger"]
    log.warning("%s [%s] %s", "MAXPOLL", "rdkafka#consumer-1", "maximum poll interval exceeded")
    log.warning("%s [%s] %s", "FAIL", "rdkafka#consumer-1", "connection refused")
    assert "maximum poll interval exceeded" in caplog.text
    assert "connection refused" not in caplog.text
