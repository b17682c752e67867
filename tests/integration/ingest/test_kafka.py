"""Producers against a real Kafka: messages come back unchanged, and undelivered ones are reported."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from privacyplease.ingest import wifi
from privacyplease.ingest.errors import DeliveryError
from privacyplease.ingest.kafka.producer import Producer
from privacyplease.ingest.kafka.replay import Replay
from tests.services import station_feeds
from tests.services.feed_server import FeedServer
from tests.services.kafka import Kafka
from tests.services.topics import Topics

_ROOT = Path(__file__).parents[3]
_KEY = "int3gration-key"


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(os.environ.get("PRIVACYPLEASE_DATA") or _ROOT / "../shared/data")
    if not folder.is_dir():
        pytest.skip("the real data are missing: set PRIVACYPLEASE_DATA to the folder of the test data")
    return folder


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as running:
        yield running


class Command:
    """`privacyplease ingest ...` as a separate process, with its stderr."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        code = (
            "from privacyplease.ingest.cli import app;"
            "from privacyplease.cli.failures import CommandError; import sys\n"
            "try: sys.exit(app(standalone_mode=False) or 0)\n"
            "except CommandError as error: print('error:', error, file=sys.stderr); sys.exit(int(error.code))\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, env={**os.environ, **environment}
        )

    def stop(self) -> tuple[int, str]:
        """Stops it with SIGTERM, and returns its exit code and log."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Waits for it to end, and returns its exit code and log."""
        _, log = self._process.communicate(timeout=60)
        return self._process.returncode, log.decode()


def in_order(table: pa.Table) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in table.column_names])


def test_a_days_log_goes_to_kafka_and_comes_back_equal(data: Path, topics: Topics, kafka_topic: str) -> None:
    file = data / "wifi/client_sessions_2024-10-01_preamble.csv"
    arguments = ["--topic", kafka_topic, "--bootstrap", topics.bootstrap, "--speed", "max", "--timezone", "Asia/Tokyo"]
    code, log = Command("replay", str(file), *arguments).wait()
    assert (code, "9,059 sessions delivered" in log) == (0, True), log
    messages = topics.messages(kafka_topic)
    stream = io.BytesIO(b"".join((message.value() or b"") + b"\n" for message in messages))
    returned = pa.concat_tables(block.table for block in wifi.read(stream))
    sent = pa.concat_tables(block.table for block in wifi.read(file, timezone=wifi.zone_named("Asia/Tokyo")))
    assert in_order(returned).equals(in_order(sent))
    times = returned["association_time"].cast(pa.int64()).to_pylist()
    assert times == [message.timestamp()[1] for message in messages]
    # Each device is in one partition, and each partition is ordered by time.
    partitions = {(message.key(), message.partition()) for message in messages}
    assert len(partitions) == len({key for key, _ in partitions})
    assert len({partition for _, partition in partitions}) == 4
    for partition in range(4):
        order = [message.timestamp()[1] for message in messages if message.partition() == partition]
        assert order == sorted(order)


def test_a_topic_that_would_discard_an_old_log_is_refused(data: Path, topics: Topics) -> None:
    file = data / "wifi/client_sessions_2024-10-01_preamble.csv"
    for settings, expected in (
        ({"retention_ms": "604800000"}, "retention.ms=604800000"),
        ({"cleanup_policy": "compact"}, "compact"),
    ):
        topic = topics.create_topic(**dict[str, Any](settings))
        code, log = Command(
            "replay", str(file), "--bootstrap", topics.bootstrap, "--topic", topic, "--timezone", "Asia/Tokyo"
        ).wait()
        assert (code, expected in log) == (4, True), log
        assert topics.messages(topic) == []
        topics.delete_topic(topic)


def test_a_broker_that_is_killed_and_restarted_loses_nothing(data: Path, kafka: Kafka) -> None:
    topic = kafka.create_topic()
    replay = Replay(block.table for block in wifi.read(data / "wifi/client_sessions.csv.gz"))
    killed = False

    def kill_halfway(sent: int) -> None:
        nonlocal killed
        if sent > len(replay) // 2 and not killed:
            killed = True
            kafka.kill()
            kafka.restart()

    with Producer(topic, {"bootstrap.servers": kafka.bootstrap, "log_level": 0}) as producer:
        assert replay.send(producer, on_progress=kill_halfway) == len(replay)
    assert killed
    received = Counter(message.value() for message in kafka.messages(topic))
    sent = Counter(replay._values.to_pylist())
    assert received.keys() == sent.keys()
    # At least once each: after a crash Kafka 4.2 may append the last batch of a partition again.
    assert not sent - received
    kafka.delete_topic(topic)


def test_messages_that_a_killed_broker_did_not_receive_are_counted(kafka: Kafka) -> None:
    topic = kafka.create_topic()
    log = b"Client MAC Address,AP Name,Association Time,Session Duration\na,ap,2024-10-01T00:00:00Z,1\n"
    settings: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap, "log_level": 0, "message.timeout.ms": 1_000}
    with Producer(topic, settings) as producer:
        kafka.kill()
        try:
            with pytest.raises(DeliveryError, match="expected 1 messages to be delivered, got 0: "):
                Replay(block.table for block in wifi.read(io.BytesIO(log))).send(producer)
        finally:
            kafka.restart()
    kafka.delete_topic(topic)


def wait_for(topics: Topics, topic: str, count: int) -> list[dict[str, object]]:
    deadline = time.monotonic() + 30
    while len(messages := topics.messages(topic)) < count and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(messages) == count
    stations = [json.loads(message.value() or b"") for message in messages]
    assert [(message.key() or b"").decode() for message in messages] == [
        f"{str(station['contract']).lower()}/{station['number']}" for station in stations
    ]
    return sorted(stations, key=lambda station: str(station["number"]))


def test_lund_goes_from_http_to_kafka_followed_by_changes_only(
    data: Path, server: FeedServer, topics: Topics, kafka_topic: str
) -> None:
    records = json.loads((data / "bikes/lund_stations_v1.json").read_bytes())
    server.put("/vls/v1/contracts", (data / "bikes/contracts_v1.json").read_bytes())
    server.put("/vls/v1/stations", records)
    server.fail("/vls/v1/stations", 503, {"Retry-After": "1"})
    command = Command(
        *("poll", "jcdecaux", "--contract", "lund", "--url", f"{server.url}/vls", "--interval", "1"),
        *("--bootstrap", topics.bootstrap, "--topic", kafka_topic),
        JCDECAUX_API_KEY=_KEY,
    )
    same = ["name", "address", "position", "banking", "bonus", "status", "available_bikes", "available_bike_stands"]
    by_number = {str(record["number"]): record for record in records}
    for station in wait_for(topics, kafka_topic, len(records)):
        record = by_number[str(station["number"])]
        assert {name: station[name] for name in same} == {name: record[name] for name in same}
        assert (station["capacity"], station["last_update"]) == (record["bike_stands"], record["last_update"])
    records[3]["available_bikes"] += 1
    server.put("/vls/v1/stations", records)
    wait_for(topics, kafka_topic, len(records) + 1)
    server.wait_for("/vls/v1/stations", len(server.statuses("/vls/v1/stations")) + 2)
    assert len(topics.messages(kafka_topic)) == len(records) + 1
    code, log = command.stop()
    assert code == 0, log
    assert server.statuses("/vls/v1/stations")[:2] == [503, 200]
    assert server.requests[0].parameters["apiKey"] == _KEY
    assert "17 stations, 1 changed, 0 unreadable" in log
    for secret in (_KEY, "lund", "MÅRTENSTORGET"):
        assert secret not in log


@pytest.mark.parametrize("version", ["v1", "v3", "1.0", "2.3", "3.0"])
def test_2400_stations_arrive_from_every_api_version(
    server: FeedServer, topics: Topics, kafka_topic: str, version: str
) -> None:
    kafka = ["--bootstrap", topics.bootstrap, "--topic", kafka_topic]
    if version.startswith("v"):
        generate = station_feeds.jcdecaux_v1 if version == "v1" else station_feeds.jcdecaux_v3
        server.put(f"/vls/{version}/stations", generate(2_400))
        command = Command(
            *("poll", "jcdecaux", "--all", "--api", version, "--url", f"{server.url}/vls", *kafka),
            JCDECAUX_API_KEY=_KEY,
        )
    else:
        for path, document in station_feeds.gbfs(server.url, version, 2_400, ttl=60).items():
            server.put(path, document)
        command = Command("poll", "gbfs", f"{server.url}/gbfs.json", *kafka)
    stations = wait_for(topics, kafka_topic, 2_400)
    assert command.stop()[0] == 0
    assert len({station["number"] for station in stations}) == 2_400
    assert all("É" in str(station["name"]) or "ø" in str(station["name"]) for station in stations)
    assert all(list(station) == list(stations[0]) for station in stations)


def test_a_refused_key_ends_the_poller_and_is_not_logged(server: FeedServer, topics: Topics, kafka_topic: str) -> None:
    server.fail("/vls/v1/stations", 403)
    kafka = ["--bootstrap", topics.bootstrap, "--topic", kafka_topic]
    code, log = Command("poll", "jcdecaux", "--all", "--url", f"{server.url}/vls", *kafka, JCDECAUX_API_KEY=_KEY).wait()
    assert (code, "check the API key" in log, _KEY in log) == (3, True, False), log
