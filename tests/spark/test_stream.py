"""A stream from a real Kafka by a local Spark, as a user starts it, to a real MariaDB."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer

from privacyplease.ingest import wifi
from privacyplease.ingest.feeds.jcdecaux import read_stations
from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.ingest.test_dead_letters import MALFORMED_SESSIONS, MALFORMED_STATIONS
from tests.integration.known_answers import LARGE, questions, wrong_answers
from tests.services import station_answers
from tests.services.kafka import Kafka
from tests.services.plaintext_search import files_with
from tests.services.polling import eventually
from tests.services.sessions import MAC
from tests.services.spark_cluster import python_workers
from tests.services.spark_job import SparkJob
from tests.services.stack import Stack
from tests.services.topics import Topics

Start = Callable[..., SparkJob]

_LARGEST = 24 << 20


def test_every_known_answer_is_right_after_the_log_was_read(site: KafkaSite, start: Start) -> None:
    questions()
    assert site.replay(block.table for block in wifi.read(LARGE)) == 178_570
    job = start("--trigger", "now", "--master", "local[2]")
    assert job.wait() == 0, job.log
    assert "stopped; consumed 178,570, stored 178,570, dead letters 0" in job.log
    assert wrong_answers(site.client) == []
    assert not MAC.search(site.logs)
    places = {place for block in wifi.read(LARGE) for place in block.table["ap_name"].unique().to_pylist()}
    assert files_with(site.folder, places) == []
    # The control: the search sees what is in these files.
    assert files_with(site.folder / "events", {site.topic})
    assert files_with(site.folder / "checkpoint", {site.topic})


def test_stations_come_back_as_they_were_sent(site: KafkaSite, start: Start) -> None:
    records = json.loads((station_answers.real_responses() / "lund_stations_v1.json").read_bytes())
    snapshot = read_stations(records, "jcdecaux-v1", 1_451_296_000_000)
    site.produce([station.message() for station in snapshot.stations])
    job = start("--trigger", "now", "--dataset", "bikes")
    assert job.wait() == 0, job.log
    expected = station_answers.of_response(records)
    assert len(expected) == 17
    assert station_answers.of_states(site.client.stations_now("LUND")) == expected
    names = {str(record["name"]) for record in records} | {str(record["address"]) for record in records}
    assert files_with(site.folder, {name for name in names if len(name) > 3}) == []


def test_bad_messages_become_sealed_dead_letters_and_can_be_sent_back_byte_for_byte(
    site: KafkaSite, start: Start
) -> None:
    bad = [message for message, _, _ in MALFORMED_SESSIONS.values()]
    messages = [*bad, *(site.session(number) for number in range(100, 130))]
    keys = [f"02:00:00:00:01:{number:02x}" for number in range(len(messages))]
    site.produce(messages, keys=keys)
    job = start("--trigger", "now")
    assert job.wait() == 0, job.log
    assert f"consumed {len(messages)}, stored 30, dead letters {len(bad)}" in job.log
    assert len(site.stored()) == 30

    listed = sorted((each["from"]["offset"], each["field"], each["reason"]) for each in site.letters())
    assert [each[1:] for each in listed] == [(field, reason) for _, field, reason in MALFORMED_SESSIONS.values()]
    assert {(each["from"]["topic"], each["from"]["partition"]) for each in site.letters()} == {(site.topic, 1)}
    assert site.ingest("dlq", "replay")["redriven"] == len(bad)
    received = [(each.key(), each.value() or b"") for each in site.kafka.messages(site.topic)][len(messages) :]
    assert received == [(key.encode(), message or b"") for key, message in zip(keys, bad, strict=False)]
    assert "Hall" not in site.logs
    assert not MAC.search(site.logs)


def test_bad_stations_become_dead_letters_too(site: KafkaSite, start: Start) -> None:
    bad = [message for message, _, _ in MALFORMED_STATIONS.values()]
    site.produce(bad)
    job = start("--trigger", "now", "--dataset", "bikes")
    assert job.wait() == 0, job.log
    reasons = [
        (each["field"], each["reason"]) for each in sorted(site.letters(), key=lambda each: each["from"]["offset"])
    ]
    assert reasons == [expected[1:] for expected in MALFORMED_STATIONS.values()]


@pytest.fixture(scope="module")
def roomy() -> Iterator[Topics]:
    """A broker that takes messages larger than the proxy seals."""
    limits = (f"message.max.bytes={_LARGEST + (1 << 20)}", f"replica.fetch.max.bytes={_LARGEST + (1 << 20)}")
    with Kafka(properties=limits) as kafka:
        yield kafka


def test_a_message_too_large_to_seal_does_not_stop_the_stream_nor_its_next_start(
    roomy: Kafka, servers: Stack, days: Iterator[datetime], tmp_path: Path
) -> None:
    topic = roomy.create_topic(max_message_bytes=str(_LARGEST + (1 << 20)))
    site = KafkaSite(roomy, topic, servers, tmp_path, next(days))
    producer = Producer({"bootstrap.servers": roomy.bootstrap, "message.max.bytes": _LARGEST + (1 << 20)})
    for message in (site.session(1), b"x" * _LARGEST, site.session(2)):
        producer.produce(topic, message, partition=1)
    assert producer.flush(60) == 0
    for started in range(2):
        endpoints = servers.proxy, roomy.bootstrap, topic
        job = SparkJob(
            tmp_path, *endpoints, "--trigger", "now", name=f"run-{started}", certificates=servers.certificates
        )
        with job:
            assert job.wait() == 0, job.log
        site.produce([site.session(3)])
    assert len(site.stored()) == 3
    (letter,) = site.letters()
    assert letter["reason"] == "expected a message of at most 1,048,576 bytes"
    assert "still in its own topic" in letter["omitted"]


def test_it_takes_over_from_a_consumer_group(site: KafkaSite, start: Start) -> None:
    with site.consumer() as consumer:
        site.produce([site.session(number) for number in range(700)])
        assert site.caught_up()
        assert consumer.stop() == 0
    site.produce([site.session(number) for number in range(700, 1_000)])
    job = start("--trigger", "now", "--from-group", "building")
    assert job.wait() == 0, job.log
    assert "consumed 300, stored 300" in job.log
    assert len(site.stored()) == 1_000


def test_a_stop_and_a_start_lose_and_repeat_nothing(site: KafkaSite, start: Start) -> None:
    job = start("--trigger", "500ms", "--metrics", "127.0.0.1:0")
    assert eventually(lambda: job.started, 90), job.log
    site.produce([site.session(number) for number in range(1_000)])
    assert eventually(lambda: _metrics(job)["privacyplease_spark_stored_total"] == 1_000, 90), job.log
    assert [value for name, value in _metrics(job).items() if "lag_messages{" in name] == [0.0] * 4
    assert job.stop() == 0
    site.produce([site.session(number) for number in range(1_000, 1_500)])
    job.start()
    assert eventually(lambda: len(site.stored()) == 1_500, 120), job.log
    assert job.stop() == 0
    ends = re.findall(r"stopped; consumed ([\d,]+), stored ([\d,]+), dead letters 0", job.log)
    assert ends == [("1,000", "1,000"), ("500", "500")]


def test_a_local_spark_survives_the_loss_of_its_python_workers(site: KafkaSite, start: Start) -> None:
    job = start("--trigger", "500ms", "--master", "local[2]")
    assert eventually(lambda: job.started, 90), job.log
    for kill in range(5):
        site.produce([site.session(number) for number in range(kill * 200, kill * 200 + 200)])
        assert eventually(lambda: bool(python_workers(job.pid)), 60), job.log
        for worker in python_workers(job.pid):
            worker.kill()
    assert eventually(lambda: len(site.stored()) == 1_000, 120), job.log
    assert job.stop() == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--bootstrap", "127.0.0.1:1"), "expected a response from a Kafka broker"),
        (("--dataset", "parking"), "expected dataset to be one of bikes, wifi; got 'parking'"),
        (("--jars", "."), "expected the jars of Spark's Kafka connector"),
    ],
)
def test_what_cannot_run_says_why_in_a_line(
    site: KafkaSite, start: Start, flags: tuple[str, ...], message: str
) -> None:
    job = start("--trigger", "now", *flags)
    assert job.wait() != 0
    (error,) = [line for line in job.log.splitlines() if line.startswith("error: ")]
    assert message in error
    assert "Traceback" not in job.log


def _metrics(job: SparkJob) -> dict[str, float]:
    address = re.findall(r"metrics: (http://\S+)", job.log)[-1]
    with urllib.request.urlopen(address, timeout=10) as response:
        lines = response.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
