"""Feeds that real users met, from `../shared/cases`: from HTTP through Kafka to the answers."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from privacyplease.client import Client, StationState
from privacyplease.ingest.feeds import Gbfs, JsonClient, poll
from privacyplease.ingest.feeds.polling import Pace
from privacyplease.ingest.kafka.broker import settings
from privacyplease.ingest.kafka.consumer import ConsumerOptions, ConsumerRun
from privacyplease.ingest.kafka.producer import Producer
from tests.services import cases
from tests.services.feed_server import FeedServer
from tests.services.polling import eventually
from tests.services.topics import Topics

pytestmark = cases.needed

TIMEOUT_S = 60


class CaseFeed:
    """The files of a case, with the addresses and times that they leave open."""

    def __init__(self, server: FeedServer, name: str) -> None:
        self._server, self._folder = server, cases.CASES / "bikes" / name
        for file in self._folder.glob("*.json"):
            if file.name != "rules.json":
                self.serve(file.name, file.name)

    def serve(self, path: str, file: str) -> None:
        """Serves a file of the case under a path from now on."""
        text = (self._folder / file).read_text(encoding="utf-8").replace("@BASE@", self._server.url)
        now = int(time.time())
        text = re.sub(r"@NOW([+-]\d+)?@", lambda match: str(now + int(match[1] or 0)), text)
        self._server.put(f"/{path}", text.encode())


@contextmanager
def polling(client: Client, topics: Topics, topic: str, case: str) -> Iterator[CaseFeed]:
    """Polls and consumes a case in threads, for as long as the block lasts."""
    stop, kafka = threading.Event(), settings(topics.bootstrap)
    options = ConsumerOptions(topic, "bikes", f"group-{topic}", flush_s=0.05)
    with FeedServer() as server, Producer(topic, kafka) as producer, ThreadPoolExecutor(2) as threads:
        feed = CaseFeed(server, case)
        gbfs = Gbfs(JsonClient(), f"{server.url}/gbfs.json")
        running = [
            threads.submit(poll, [gbfs], producer, stop=stop, pace=Pace(interval=0.05)),
            threads.submit(ConsumerRun(client, kafka, options).run, stop),
        ]
        try:
            yield feed
        finally:
            stop.set()
        for each in running:
            each.result(TIMEOUT_S)


@pytest.fixture
def known(client: Client) -> Callable[[str], dict[str, StationState]]:
    """The stations of a contract, by number."""
    return lambda contract: {str(state.number): state for state in client.stations_now(contract)}


def test_only_believable_times_date_a_state_back(
    client: Client, known: Callable[[str], dict[str, StationState]], topics: Topics, kafka_topic: str
) -> None:
    began = datetime.now(UTC) - timedelta(seconds=2)
    with polling(client, topics, kafka_topic, "01-last-reported-odd"):
        assert eventually(lambda: len(known("case01")) == 11, TIMEOUT_S)
    states = known("case01")
    for number in ("neg", "minusone", "zero", "epochday", "future"):
        assert states[number].last_update is None
        assert began <= states[number].state_from <= datetime.now(UTC)
    for number in ("float", "text", "good"):
        assert began - timedelta(seconds=90) <= states[number].state_from < began


def test_a_station_that_is_removed_is_in_no_answer_as_if_it_were_there(
    client: Client, known: Callable[[str], dict[str, StationState]], topics: Topics, kafka_topic: str
) -> None:
    with polling(client, topics, kafka_topic, "05-station-removed") as feed:
        assert eventually(lambda: {n: s.available_bikes for n, s in known("case05").items()} == {"1": 5, "2": 7}, 60)
        feed.serve("station_status.json", "later.json")
        assert eventually(lambda: {n: s.available_bikes for n, s in known("case05").items()} == {"1": 4, "2": None}, 60)
    assert known("case05")["2"].status == "CLOSED"


def test_counts_under_a_time_that_stands_still_are_states_of_their_own(
    client: Client, known: Callable[[str], dict[str, StationState]], topics: Topics, kafka_topic: str
) -> None:
    with polling(client, topics, kafka_topic, "25-last-reported-frozen") as feed:
        for file, bikes in (("station_status.json", 5), ("b.json", 3), ("c.json", 8)):
            feed.serve("station_status.json", file)
            assert eventually(lambda: {s.available_bikes for s in known("case25").values()} == {bikes}, 60)  # noqa: B023
    history = list(client.station_history("case25/1", datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC)))
    assert [state.available_bikes for state in history] == [5, 3, 8]
