"""The consumer between a real Kafka and a real MariaDB, as processes that a user starts.

Tests that do not stop the servers share them: each has its own topic, and its own ten days.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import requests

from privacyplease.ingest import wifi
from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.known_answers import LARGE, ONE_DAY, questions, wrong_answers
from tests.services.consumer import ConsumerProcess, Progress
from tests.services.kafka import Kafka
from tests.services.polling import eventually
from tests.services.sessions import MAC, longest
from tests.services.stack import stack

Start = Callable[..., ConsumerProcess]


def test_every_known_answer_is_right_after_two_consumers_have_read_the_log(site: KafkaSite, start: Start) -> None:
    questions()
    pair = [start(name="one"), start(name="two")]
    assert site.replay(block.table for block in wifi.read(LARGE)) == 178_570
    assert site.caught_up()
    assert wrong_answers(site.client) == []
    assert all(re.search(r"partitions assigned: \d", each.log) for each in pair)
    assert [each.stop() for each in pair] == [0, 0]
    assert not MAC.search(site.logs)


def test_members_may_join_and_leave_while_the_log_streams_in(site: KafkaSite, start: Start) -> None:
    questions()
    first = start("--flush-records", "200", name="first")
    assert eventually(lambda: "partitions assigned" in first.log, 60)
    day = _on(site.day, pa.concat_tables(block.table for block in wifi.read(ONE_DAY)))
    sent = [site.replay([day], speed=86_400 / 8)]
    second = start("--flush-records", "200", name="second")
    sent.append(site.replay([day], speed=86_400 / 8))
    assert first.stop() == 0
    assert site.caught_up()
    assert "partitions revoked" in first.log
    assert "partitions assigned" in second.log
    assert sent == [len(day)] * 2
    assert site.stored() == longest(day)
    assert not MAC.search(site.logs)


def test_the_metrics_say_how_far_the_consumer_lags_behind(site: KafkaSite, start: Start) -> None:
    consumer = start("--metrics", "127.0.0.1:0")
    site.produce([site.session(number) for number in range(10)])
    assert site.caught_up()
    url = re.findall(r"metrics: (http://\S+)", consumer.log)[0]
    assert _lag(url) == 0
    assert "privacyplease_consumer_stored_total 10.0" in _metrics(url)
    proxy = json.loads((site.servers.home / "run" / "state.json").read_text())["proxy"]["pid"]
    os.kill(proxy, signal.SIGSTOP)
    try:
        site.produce([site.session(number) for number in range(10, 60)])
        assert _lag(url) == 50
    finally:
        os.kill(proxy, signal.SIGCONT)
    assert eventually(lambda: _lag(url) == 0, 60)


def _metrics(url: str) -> str:
    return requests.get(url, timeout=20).text


def _lag(url: str) -> float:
    return sum(map(float, re.findall(r"^privacyplease_consumer_lag_messages{.*} (.*)$", _metrics(url), re.MULTILINE)))


def test_a_graceful_stop_commits_everything_stored(site: KafkaSite, start: Start) -> None:
    consumer = start("--flush-ms", "100")
    site.produce([site.session(number) for number in range(1_000)])
    assert eventually(lambda: len(site.stored()) == 1_000, 60)
    assert consumer.stop() == 0
    assert Progress(site.kafka.bootstrap, site.topic).caught_up()
    assert "stopped; consumed 1,000, stored 1,000" in consumer.log


def test_while_the_proxy_is_suspended_the_consumers_memory_stays_bounded(site: KafkaSite, start: Start) -> None:
    proxy = json.loads((site.servers.home / "run" / "state.json").read_text())["proxy"]["pid"]
    site.produce([site.session(0)])
    consumer = start()
    assert site.caught_up()
    before = _memory(consumer)
    os.kill(proxy, signal.SIGSTOP)
    try:
        messages = 75_000
        filler = "x" * 4_000
        site.produce([site.session(number, device=filler) for number in range(messages)])  # 300 MB
        time.sleep(6)
        grown = _memory(consumer) - before
        behind = Progress(site.kafka.bootstrap, site.topic).behind()
    finally:
        os.kill(proxy, signal.SIGCONT)
    print(f"grown by {grown >> 20} MiB")
    assert grown < 200 << 20  # 140 was measured; unbounded, it would exceed the 300 MB that are queued
    assert behind == messages
    assert site.caught_up(150)
    assert len(site.stored()) == messages


def test_messages_that_retention_deleted_before_they_were_read_are_counted(site: KafkaSite, start: Start) -> None:
    site.produce([site.session(number) for number in range(10)])
    consumer = start()
    assert site.caught_up()
    assert consumer.stop() == 0
    site.produce([site.session(number) for number in range(10, 40)])
    site.kafka.delete_messages(site.topic, partition=1, before=25)
    again = start(name="again")
    assert site.caught_up()
    assert len(site.stored()) == 25
    assert again.stop() == 0
    assert "partition 1: 15 messages were deleted before they were read (offsets 10 to 24)" in again.log
    assert "lost 15" in again.log


def test_tombstones_are_no_records_and_no_dead_letters(site: KafkaSite, start: Start) -> None:
    site.produce([site.session(0), None, site.session(1), None], keys=["a", "a", "b", "b"])
    consumer = start()
    assert site.caught_up()
    assert len(site.stored()) == 2
    assert consumer.stop() == 0
    assert "dead letters 0, tombstones 2" in consumer.log


def test_an_unavailable_server_is_logged_once_and_waited_for(
    kafka: Kafka, kafka_topic: str, sqlite_url: str, tmp_path: Path
) -> None:
    with stack(sqlite_url) as servers:
        site = KafkaSite(kafka, kafka_topic, servers, tmp_path, datetime(2024, 10, 1, tzinfo=UTC))
        state = json.loads((servers.home / "run" / "state.json").read_text())
        server = psutil.Process(state["server"]["pid"])
        server.suspend()
        server.kill()
        server.wait()
        with site.consumer() as consumer:
            site.produce([site.session(number) for number in range(10)])
            assert eventually(lambda: "proxy: StorageUnavailableError; retrying" in consumer.log, 60)
            time.sleep(3)
            assert consumer.log.count("retrying") == 1
            assert Progress(kafka.bootstrap, kafka_topic).behind() == 10
            assert consumer.stop() == 0
        assert "the rest will be read again" in consumer.log
        assert Progress(kafka.bootstrap, kafka_topic).behind() == 10


def _on(day: datetime, sessions: pa.Table) -> pa.Table:
    """The sessions of 1 October 2024, moved to another day."""
    shift = pa.scalar(day - datetime(2024, 10, 1, tzinfo=UTC), pa.duration("ms"))
    moved = pc.add(sessions["association_time"], shift)
    return sessions.set_column(sessions.column_names.index("association_time"), "association_time", moved)


def _memory(process: ConsumerProcess) -> int:
    """A process's resident memory in bytes."""
    return int(psutil.Process(process.pid).memory_info().rss)
