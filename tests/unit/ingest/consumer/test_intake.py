"""The intake over a client of Kafka that does as a test tells it."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from privacyplease.ingest.consumer import intake as module
from privacyplease.ingest.consumer.flight import Flight
from privacyplease.ingest.consumer.intake import Intake
from privacyplease.ingest.link import Link
from privacyplease.ingest.stream_errors import BrokerError

Event = Callable[["Kafka"], list[Message]]


def message(partition: int, offset: int) -> Message:
    return Message(topic="wifi", partition=partition, offset=offset, value=b"x")


def messages(partition: int, first: int, end: int) -> Event:
    return lambda kafka: [message(partition, offset) for offset in range(first, end)]


def places(*partitions: int) -> list[TopicPartition]:
    return [TopicPartition("wifi", partition) for partition in partitions]


def assign(*partitions: int) -> Event:
    def happen(kafka: "Kafka") -> list[Message]:
        kafka.calls["on_assign"](kafka, places(*partitions))
        return []

    return happen


def revoke(*partitions: int, how: str = "on_revoke") -> Event:
    def happen(kafka: "Kafka") -> list[Message]:
        kafka.calls[how](kafka, places(*partitions))
        return []

    return happen


class Kafka:
    """Each call of `consume` lets the next event happen."""

    events: list[Event]

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.calls: dict[str, Any] = {}
        self.commits: list[dict[int, int]] = []
        self.paused: list[bool] = []
        self.failing = False

    def subscribe(self, topics: list[str], **calls: Any) -> None:
        self.calls = calls

    def consume(self, most: int, timeout: float) -> list[Message]:
        return self.events.pop(0)(self) if self.events else []

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        if self.failing:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        self.commits.append({each.partition: each.offset for each in offsets})

    def assignment(self) -> list[TopicPartition]:
        return places(0, 1)

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused.append(True)

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused.append(False)


class Setup:
    def __init__(self, *events: Event) -> None:
        Kafka.events = list(events)
        self.flight, self.link = Flight(1), Link("kafka")
        self.intake = Intake("wifi", {}, self.flight, self.link, lambda: False)
        client: Any = self.intake._consumer
        self.kafka: Kafka = client

    def gathered(self) -> dict[int, int]:
        """For each partition of the next batch its end; the batch lands at once."""
        batch = self.intake.gather(1_000, 0.05)
        assert batch is not None
        self.flight.add(batch)
        self.flight.landed(batch)
        return batch.ends


@pytest.fixture(autouse=True)
def kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Consumer", Kafka)
    monkeypatch.setattr(module, "_PAUSE_S", 0.05)


def test_what_landed_is_committed_and_nothing_else() -> None:
    setup = Setup(assign(0, 1), messages(0, 5, 8), messages(1, 0, 2))
    assert setup.gathered() == {0: 8, 1: 2}
    setup.intake.commit()
    setup.intake.commit()
    assert setup.kafka.commits == [{0: 8, 1: 2}]


def test_a_commit_that_fails_is_made_again() -> None:
    setup = Setup(assign(0), messages(0, 0, 3))
    setup.gathered()
    setup.kafka.failing = True
    setup.intake.commit()
    setup.kafka.failing = False
    setup.intake.commit()
    assert setup.kafka.commits == [{0: 3}]


def test_what_is_under_way_is_committed_before_a_partition_goes() -> None:
    setup = Setup(assign(0, 1), messages(0, 0, 3), messages(1, 0, 3))
    setup.gathered()
    Kafka.events = [revoke(0), messages(1, 3, 5)]
    assert setup.gathered() == {1: 5}
    assert setup.kafka.commits == [{0: 3, 1: 3}]


def test_what_is_lost_is_not_committed() -> None:
    setup = Setup(assign(0), messages(0, 0, 3))
    setup.gathered()
    Kafka.events = [revoke(0, how="on_lost")]
    assert setup.intake.gather(10, 0.05) is None
    setup.intake.commit()
    assert setup.kafka.commits == []


def test_messages_read_before_a_partition_went_and_came_are_not_in_the_batch() -> None:
    """Else their end would be committed, and those between the committed offset and them might never be stored."""
    setup = Setup(assign(0, 1), messages(0, 10, 12), messages(1, 0, 1), revoke(0, how="on_lost"), assign(0))
    assert setup.gathered() == {1: 1}
    setup.intake.commit()
    assert setup.kafka.commits == [{1: 1}]


def test_while_the_flight_is_full_partitions_pause_and_what_comes_is_kept() -> None:
    setup = Setup(assign(0), messages(0, 0, 3))
    batch = setup.intake.gather(1_000, 0.05)
    assert batch is not None
    setup.flight.add(batch)
    Kafka.events = [messages(0, 3, 5)]
    setup.intake.hold()
    setup.intake.hold()
    assert setup.kafka.paused == [True, True]
    setup.flight.landed(batch)
    setup.intake.hold()
    setup.intake.commit()
    assert setup.gathered() == {0: 5}
    assert setup.kafka.paused == [True, True, False]


def test_a_fatal_error_ends_it_and_another_is_told() -> None:
    broken = Message(error=KafkaError(KafkaError._TRANSPORT))
    fatal = Message(error=KafkaError(KafkaError._FATAL, fatal=True))
    setup = Setup(lambda kafka: [broken], lambda kafka: [fatal])
    with pytest.raises(BrokerError):
        setup.intake.gather(10, 0.05)
    assert setup.link.away


def test_promises_are_not_for_settings_to_break() -> None:
    client: Any = Intake("wifi", {"enable.auto.commit": True, "session.timeout.ms": 6_000}, Flight(1), Link("k"), bool)
    settings = client._consumer.settings
    assert settings["enable.auto.commit"] is False
    assert settings["session.timeout.ms"] == 6_000
