import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from privacyplease.ingest.errors import FeedRefusedError
from privacyplease.ingest.feeds import JCDecaux, JsonClient, poll
from privacyplease.ingest.feeds.polling import Pace
from privacyplease.ingest.feeds.station import Snapshot
from tests.services import station_feeds
from tests.services.feed_server import FeedServer
from tests.services.polling import eventually

PATH = "/v1/stations"
QUICK = Pace(interval=0.01, first_retry=0.02, longest_retry=0.1)


class Polling:
    """A poller in its own thread."""

    def __init__(self, server: FeedServer, producer: Any) -> None:
        self._server, self._stop = server, threading.Event()
        arguments = ([JCDecaux(JsonClient(), url=server.url)], producer)
        self._thread = threading.Thread(target=poll, args=arguments, kwargs={"stop": self._stop, "pace": QUICK})
        self._thread.start()

    def wait(self, count: int = 2) -> None:
        """Waits for polls that began after this call, and whose changes the producer has sent."""
        self._server.wait_for(PATH, len(self._server.statuses(PATH)) + count + 1)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def polling(server: FeedServer, producer: Any) -> Iterator[Polling]:
    server.put(PATH, station_feeds.jcdecaux_v1(40))
    running = Polling(server, producer)
    yield running
    running.stop()


def test_only_stations_that_changed_are_sent(server: FeedServer, polling: Polling, producer: Any) -> None:
    polling.wait()
    assert [key for key, _ in producer.sent] == [f"lyon/{number}" for number in range(1, 41)]
    assert 304 in server.statuses(PATH)
    stations = station_feeds.jcdecaux_v1(40)
    stations[6]["available_bikes"] = 99
    stations[8]["name"] = "Ailleurs"
    server.put(PATH, stations)
    polling.wait()
    assert [key for key, _ in producer.sent[40:]] == ["lyon/7", "lyon/9"]
    assert json.loads(producer.sent[41][1])["name"] == "Ailleurs"


def test_a_station_that_was_not_delivered_is_sent_again(server: FeedServer, producer: Any) -> None:
    producer.refuse = 3
    server.put(PATH, station_feeds.jcdecaux_v1(10))
    running = Polling(server, producer)
    running.wait()
    running.stop()
    assert sorted(key for key, _ in producer.sent) == sorted(f"lyon/{number}" for number in range(1, 11))
    assert 304 in server.statuses(PATH)  # the requests were conditional nevertheless


def test_failures_are_retried_and_logged_without_plaintext(
    server: FeedServer, polling: Polling, producer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    polling.wait()
    for status in (500, 429, 503, 403):
        server.fail(PATH, status, {"Retry-After": "0"})
    polling.wait(8)
    statuses = server.statuses(PATH)
    assert {500, 429, 503, 403} <= set(statuses)
    assert statuses[-1] in (200, 304)
    assert "got HTTP status 429" in caplog.text
    assert "ÉTÉ" not in caplog.text
    assert "lyon" not in caplog.text.lower()


def test_a_refusal_of_the_first_request_ends_the_polling(server: FeedServer, producer: Any) -> None:
    server.fail(PATH, 403)
    with pytest.raises(FeedRefusedError, match="check the API key"):
        poll([JCDecaux(JsonClient(), url=server.url)], producer, stop=threading.Event(), pace=QUICK)


def test_delays_grow_with_failures_up_to_a_limit_and_honour_retry_after() -> None:
    pace = Pace(first_retry=1, longest_retry=60)
    waits = [[pace.retry(failures) for _ in range(50)] for failures in range(1, 40)]
    for failures, each in enumerate(waits):
        longest = min(60, 2**failures)
        assert all(longest / 2 <= wait <= longest for wait in each)
        assert len(set(each)) > 1
    assert pace.retry(1, retry_after=120) == 120


def test_a_contract_that_is_refused_does_not_end_the_others(
    server: FeedServer, producer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.put("/v1/contracts", [{"name": "Lyon"}])
    server.put(PATH, station_feeds.jcdecaux_v1(3))
    stop = threading.Event()
    feeds = [JCDecaux(JsonClient(), name, url=server.url) for name in ("rouen", "lyon")]
    thread = threading.Thread(target=poll, args=(feeds, producer), kwargs={"stop": stop, "pace": QUICK})
    thread.start()
    server.wait_for(PATH, 3)
    stop.set()
    thread.join(10)
    assert len(producer.sent) == 3
    assert "jcdecaux-v1 rouen: expected one of the contracts Lyon, got another; it is not polled again" in caplog.text


def test_a_station_that_is_gone_is_told_of_once_and_may_come_back(
    server: FeedServer, polling: Polling, producer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    polling.wait()
    stations = station_feeds.jcdecaux_v1(40)
    server.put(PATH, stations[1:])
    polling.wait(4)
    assert [key for key, _ in producer.sent[40:]] == ["lyon/1"]
    gone = json.loads(producer.sent[40][1])
    assert (gone["status"], gone["available_bikes"], gone["available_bike_stands"]) == ("CLOSED", None, None)
    assert gone["last_update"] is None
    assert "39 stations, 0 changed, 0 unreadable, 1 gone" in caplog.text
    server.put(PATH, stations)
    polling.wait(4)
    assert [key for key, _ in producer.sent[41:]] == ["lyon/1"]
    assert json.loads(producer.sent[41][1])["status"] == "OPEN"


@pytest.mark.parametrize("answer", [[], [{"bogus": 1}, {"bogus": 2}]])
def test_an_answer_without_stations_makes_none_gone(
    server: FeedServer, polling: Polling, producer: Any, answer: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    polling.wait()
    server.put(PATH, answer)
    polling.wait(4)
    assert len(producer.sent) == 40
    assert ("no record of it is a station" in caplog.text) == bool(answer)


def test_duplicates_are_counted_in_the_log(
    server: FeedServer, polling: Polling, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.put(PATH, [*station_feeds.jcdecaux_v1(40), *station_feeds.jcdecaux_v1(2)])
    polling.wait(4)
    assert "40 stations, 0 changed, 0 unreadable, 2 duplicate" in caplog.text


class _Told:
    """A feed that gives one snapshot again and again."""

    source = name = "told"

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.polls = 0

    def poll(self) -> Snapshot:
        self.polls += 1
        return self._snapshot


@pytest.mark.parametrize(
    ("snapshot", "told"),
    [
        (Snapshot([], 0, fresh_for=0.2), "asks to be polled again only in"),
        (Snapshot([], 0, updated_at=1_700_000_000_000), "was last updated long ago"),
    ],
)
def test_what_is_odd_about_a_feed_is_said_once(
    producer: Any, snapshot: Snapshot, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    feed, stop = _Told(snapshot), threading.Event()
    thread = threading.Thread(target=poll, args=([feed], producer), kwargs={"stop": stop, "pace": QUICK})
    thread.start()
    assert eventually(lambda: feed.polls >= 3, 30)
    stop.set()
    thread.join(10)
    assert caplog.text.count(told) == 1
