"""From HTTP to Kafka to `stations now`: feed responses come back equal while the stream runs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from privacyplease.client import Client
from privacyplease.ingest.feeds import ApiKey, JCDecaux, JsonClient, poll
from privacyplease.ingest.feeds.polling import Pace
from privacyplease.ingest.kafka.broker import settings
from privacyplease.ingest.kafka.consumer import ConsumerOptions, ConsumerRun
from privacyplease.ingest.kafka.producer import Producer
from tests.services import station_answers
from tests.services.feed_server import FeedServer
from tests.services.topics import Topics

TIMEOUT_S = 60
CONTRACTS = [{"name": name} for name in ("Lund", "Besancon", "Lyon")]


class StationStream:
    """A feed that is polled, and a consumer of the messages that the poller sends."""

    def __init__(self, client: Client, feed: FeedServer, contract: str) -> None:
        self._client = client
        self._feed = feed
        self._contract = contract

    def respond(self, records: list[dict[str, Any]]) -> None:
        """Lets the feed respond, and waits until the proxy knows the contract's stations as in the response."""
        self._feed.put("/vls/v1/stations", records)
        expected = station_answers.of_response(records)
        deadline = time.monotonic() + TIMEOUT_S
        while (known := self.known()) != expected and time.monotonic() < deadline:
            time.sleep(0.05)
        assert known == expected

    def known(self) -> list[station_answers.Answer]:
        return station_answers.of_states(self._client.stations_now(self._contract))


@contextmanager
def streaming(client: Client, topics: Topics, topic: str, contract: str) -> Iterator[StationStream]:
    """Polls and consumes in threads, for as long as the block lasts."""
    stop = threading.Event()
    kafka = settings(topics.bootstrap)
    options = ConsumerOptions(topic, "bikes", f"group-{topic}", flush_s=0.05)
    with FeedServer() as feed, Producer(topic, kafka) as producer, ThreadPoolExecutor(2) as threads:
        feed.put("/vls/v1/contracts", CONTRACTS)
        feed.put("/vls/v1/stations", [])
        jcdecaux = JCDecaux(JsonClient(("apiKey", ApiKey("k3y"))), contract, url=f"{feed.url}/vls")
        running = [
            threads.submit(poll, [jcdecaux], producer, stop=stop, pace=Pace(interval=0.05)),
            threads.submit(ConsumerRun(client, kafka, options).run, stop),
        ]
        try:
            yield StationStream(client, feed, contract)
        finally:
            stop.set()
        for each in running:
            each.result(TIMEOUT_S)


def test_lund_goes_from_http_to_stations_now(client: Client, topics: Topics, kafka_topic: str) -> None:
    records = json.loads((station_answers.real_responses() / "lund_stations_v1.json").read_bytes())
    with streaming(client, topics, kafka_topic, "lund") as stream:
        stream.respond(records)
    assert len(topics.messages(kafka_topic)) == 17


def test_ten_polls_of_besancon_go_from_http_to_stations_now(client: Client, topics: Topics, kafka_topic: str) -> None:
    text = (station_answers.real_responses() / "besancon_snapshots_v1.ndjson").read_text(encoding="utf-8")
    polls = [json.loads(line) for line in text.splitlines()]
    with streaming(client, topics, kafka_topic, "besancon") as stream:
        for records in polls:
            stream.respond(records)
    states = {(r["number"], r["last_update"]) for records in polls for r in records}
    assert len(topics.messages(kafka_topic)) == len(states)  # only changes


def test_a_day_of_2400_stations_goes_from_http_to_stations_now(
    client: Client, topics: Topics, kafka_topic: str
) -> None:
    with streaming(client, topics, kafka_topic, "lyon") as stream:
        for _, records in station_answers.generated_day():
            stream.respond(records)
