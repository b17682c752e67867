"""A task with a scripted proxy, and a writer of dead letters that only records them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from privacyplease.client import Ack, Rejection
from privacyplease.client.errors import ProxyUnreachableError
from privacyplease.ingest.errors import BadRecordsError, BrokerError, SettingsError
from privacyplease.ingest.kafka.consumer.parsers import parser_for
from privacyplease.ingest.kafka.dead_letters import UnsealedLetter
from privacyplease.ingest.spark import task
from privacyplease.ingest.spark.kafka_messages import KafkaMessages
from privacyplease.ingest.spark.options import BadRecords, SinkOptions
from privacyplease.ingest.spark.task import TaskCounts, TaskUpload, definition
from tests.unit.ingest.spark.definitions import WIFI

OPTIONS = SinkOptions("proxy:50051", "wifi", retry_s=0)
LETTERS = dataclasses.replace(OPTIONS, bad_records=BadRecords.DEAD_LETTER, dead_letter_bootstrap="kafka:9092")


class FakeProxy:
    """Rejects the devices that are named."""

    def __init__(self, *refused: str, unavailable: int = 0) -> None:
        self.refused = refused
        self.unavailable = unavailable
        self.received = 0

    def ingest(self, _dataset: str, tables: Iterable[pa.Table], *, retry: Any) -> Iterator[Ack]:
        while self.unavailable:
            self.unavailable -= 1
            error = ProxyUnreachableError("unreachable")
            if retry(error, 0) is None:
                raise error
        for number, table in enumerate(tables):
            devices = table["client_mac"].to_pylist()
            refused = [row for row, device in enumerate(devices) if device in self.refused]
            self.received += len(devices)
            yield Ack(
                number,
                len(devices),
                len(devices) - len(refused),
                tuple(Rejection(row, "client_mac", "no") for row in refused),
            )

    def datasets(self) -> tuple[Any, ...]:
        if self.unavailable:
            self.unavailable -= 1
            raise ProxyUnreachableError("unreachable")
        return (WIFI,)


class FakeWriter:
    """Keeps letters by topic; delivers none if it is broken."""

    written: dict[str, list[UnsealedLetter]]
    broken = False

    def __init__(self, _client: Any, _dataset: str, topic: str, *_services: Any) -> None:
        self._topic = topic

    def write(self, letters: list[UnsealedLetter]) -> bool:
        self.written.setdefault(self._topic, []).extend(letters)
        return not self.broken


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> FakeProxy:
    proxy = FakeProxy("02:00:00:00:00:07")
    monkeypatch.setattr(task, "connected", lambda *_: proxy)
    monkeypatch.setattr(FakeWriter, "written", {}, raising=False)
    monkeypatch.setattr(task, "DeadLetterWriter", FakeWriter)
    return proxy


def _rows(*devices: int, topic: str = "wifi", malformed: int = 0) -> pa.RecordBatch:
    values = [
        f"\t02:00:00:00:00:{device:02x}\t2024-10-01T00:00:00Z\t\tap\t\t\t\t\t\t\t60\t\t".encode() for device in devices
    ]
    values += [b"malformed"] * malformed
    return pa.record_batch({"value": values, "topic": [topic] * len(values), "offset": list(range(len(values)))})


def _run(options: SinkOptions, *batches: pa.RecordBatch) -> TaskCounts:
    return TaskUpload(options, KafkaMessages(parser_for("wifi", None), "")).run(batches)


def test_a_task_counts_what_is_stored_and_what_is_rejected_by_parser_or_proxy(proxy: FakeProxy) -> None:
    assert _run(LETTERS, _rows(1, 2, 7, malformed=2), _rows(malformed=1), _rows(3)) == (3, 4)
    assert sorted(letter.origin.offset for letter in FakeWriter.written["wifi"]) == [0, 2, 3, 4]


def test_letters_go_to_the_topic_that_the_message_is_from_or_to_the_one_named(proxy: FakeProxy) -> None:
    _run(LETTERS, _rows(topic="a", malformed=1), _rows(topic="b", malformed=2))
    assert {topic: len(letters) for topic, letters in FakeWriter.written.items()} == {"a": 1, "b": 2}
    FakeWriter.written.clear()
    named = dataclasses.replace(LETTERS, dead_letter_topic="all")
    _run(named, _rows(topic="a", malformed=1), _rows(topic="b", malformed=2_500))
    assert {topic: len(letters) for topic, letters in FakeWriter.written.items()} == {"all": 2_501}


def test_a_bad_record_fails_the_task_unless_dead_letters_are_wanted(proxy: FakeProxy) -> None:
    with pytest.raises(BadRecordsError, match=r"1 of a batch cannot be; the first is at wifi, partition 0, offset 2: "):
        _run(OPTIONS, _rows(1, 2, malformed=1))
    with pytest.raises(BadRecordsError, match="client_mac: no"):
        _run(OPTIONS, _rows(7))
    assert not FakeWriter.written


def test_a_task_fails_if_letters_cannot_be_delivered(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeWriter, "broken", True)
    with pytest.raises(BrokerError):
        _run(LETTERS, _rows(1, malformed=1))


def test_a_task_retries_for_as_long_as_it_was_told(proxy: FakeProxy) -> None:
    proxy.unavailable = 3
    assert _run(dataclasses.replace(LETTERS, retry_s=60), _rows(1)) == (1, 0)
    proxy.unavailable = 3
    with pytest.raises(ProxyUnreachableError):
        _run(LETTERS, _rows(1))


def test_the_definition_is_asked_for_until_the_proxy_responds(proxy: FakeProxy) -> None:
    proxy.unavailable = 2
    assert definition(dataclasses.replace(OPTIONS, retry_s=60)) is WIFI
    proxy.unavailable = 2
    with pytest.raises(ProxyUnreachableError):
        definition(OPTIONS)
    proxy.unavailable = 0
    with pytest.raises(SettingsError, match="expected dataset to be one of wifi; got 'bikes'"):
        definition(dataclasses.replace(OPTIONS, dataset="bikes"))
