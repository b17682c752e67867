"""Polls feeds at intervals and sends the stations that have changed."""

import functools
import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from privacyplease.ingest.errors import FeedError, FeedRefusedError
from privacyplease.ingest.feeds.report_times import ReportTimes
from privacyplease.ingest.feeds.station import Snapshot, Station
from privacyplease.ingest.kafka.producer import Producer

__all__ = ["Feed", "Pace", "poll"]

_log = logging.getLogger(__name__)

_LONG_WAITS = 5
"""A feed that asks for a wait of more than so many intervals is said to."""

_STALE_S = 900
"""What was updated longer ago than so many seconds, and two polls, may have stopped."""


class Feed(Protocol):
    """A feed of stations.

    Attributes:
        source: What it calls itself in messages and in the log, such as `gbfs`.
        name: The same with what the user asked for, for the error that ends it.
    """

    source: str
    name: str

    def poll(self) -> Snapshot:
        """Polls once; raises a `FeedError` if there is no valid response."""


class Pace(NamedTuple):
    """How often feeds are polled.

    Attributes:
        interval: Seconds from one valid response to the next poll, unless the feed asks for more.
        first_retry: Seconds to wait after a failure; doubles with each further one.
        longest_retry: The longest such wait, in seconds.
    """

    interval: float = 60.0
    first_retry: float = 1.0
    longest_retry: float = 300.0

    def retry(self, failures: int, retry_after: float = 0) -> float:
        """Gives how long to wait: exponential with jitter, so that many clients do not return at the same time.

        Args:
            failures: How many consecutive failures there were, from 1.
            retry_after: The wait that the feed asks for, in seconds.
        """
        wait = min(self.longest_retry, self.first_retry * 2.0 ** min(failures - 1, 30))
        return max(random.uniform(wait / 2, wait), retry_after)  # noqa: S311 (not secret)


def poll(
    feeds: Sequence[Feed],
    producer: Producer,
    *,
    stop: threading.Event,
    pace: Pace = Pace(),  # noqa: B008 (immutable)
) -> None:
    """Polls feeds in turn, each at its own pace, until stopped; failures are logged and retried indefinitely.

    A station is sent when it differs from what was last *delivered*, so one that Kafka did not accept is sent again
    after the next response. After a start each is sent once.

    Args:
        feeds: The feeds.
        producer: Sends stations, keyed by contract/number.
        stop: Ends the polling when set.
        pace: How often.

    Raises:
        FeedRefusedError: If every feed refuses the first request: it would refuse all others.
        DeliveryError: If stations are still in flight at the end.
        BrokerError: If Kafka's client has failed for good.
    """
    pollers = [_Poller(feed, producer, pace, stop) for feed in feeds]
    while pollers and not stop.is_set():
        poller = min(pollers, key=lambda each: each.due)
        if stop.wait(max(poller.due - time.monotonic(), 0)):
            break
        try:
            poller.poll()
        except FeedRefusedError as error:
            pollers.remove(poller)
            if not pollers:
                raise
            _log.error("%s: %s; it is not polled again, the others are", poller.name, error)


class _Poller:
    """A feed, what was last delivered of its stations, and when its next poll is due."""

    def __init__(self, feed: Feed, producer: Producer, pace: Pace, stop: threading.Event) -> None:
        self._feed, self._producer, self._pace, self._stop = feed, producer, pace, stop
        self._delivered: dict[str, Station] = {}
        self._times = ReportTimes()
        self._oddities: list[str] = []
        self._failures = 0
        self.name = feed.name
        self._responded = False
        self.due = time.monotonic()

    def poll(self) -> None:
        try:
            snapshot = self._feed.poll()
        except FeedError as error:
            if isinstance(error, FeedRefusedError) and not self._responded:
                raise
            self._failures += 1
            wait = self._pace.retry(self._failures, error.retry_after)
            _log.warning("%s: %s; polling again in %.0f s", self._feed.source, error, wait)
        else:
            self._failures, self._responded = 0, True
            wait = max(self._pace.interval, snapshot.fresh_for)
            self._warn(snapshot, wait)
            self._send(snapshot)
        self.due = time.monotonic() + wait

    def _send(self, snapshot: Snapshot) -> None:
        stations = [self._times.settle(station) for station in snapshot.stations]
        changed = [station for station in stations if self._delivered.get(station.key) != station]
        gone = self._gone(snapshot)
        before = self._producer.failed
        for station in (*changed, *gone):
            on_delivered = functools.partial(self._delivered.__setitem__, station.key, station)
            message = station.message()
            self._producer.send(station.key, message, station.polled_at, on_delivered=on_delivered, stop=self._stop)
        if not self._producer.settle(self._stop):
            self._producer.check()
        # Only counts: the log must not say which stations, or whose.
        odd = {"gone": len(gone), "duplicate": snapshot.duplicates, "without status": snapshot.incomplete}
        _log.info(
            "%s: %d stations, %d changed, %d unreadable%s",
            self._feed.source,
            len(stations),
            len(changed),
            snapshot.unreadable,
            "".join(f", {count} {name}" for name, count in odd.items() if count),
        )
        if failed := self._producer.failed - before:
            _log.warning("%s: %d stations not delivered; they will be sent again", self._feed.source, failed)

    def _gone(self, snapshot: Snapshot) -> list[Station]:
        """The stations that were delivered and that the feed no longer has, as they are to be told of."""
        if not snapshot.stations:
            return []
        present = {station.key for station in snapshot.stations}
        polled_at = snapshot.stations[0].polled_at
        gone = []
        for key, station in self._delivered.items():
            if key not in present and station != (ended := station.gone(polled_at)):
                self._times.forget(key)
                gone.append(ended)
        return gone

    def _warn(self, snapshot: Snapshot, wait: float) -> None:
        """Says what is odd about a response, once as long as it stays."""
        oddities = []
        if not snapshot.stations and snapshot.unreadable:
            oddities.append("no record of it is a station; none is taken for gone")
        if wait > _LONG_WAITS * self._pace.interval:
            oddities.append(f"it asks to be polled again only in {wait:,.0f} s (its ttl); --max-ttl caps that")
        age = 0 if snapshot.updated_at is None else time.time() - snapshot.updated_at / 1_000
        if age > max(_STALE_S, 2 * wait):
            oddities.append("it was last updated long ago (its last_updated): it may have stopped")
        for oddity in oddities:
            if oddity not in self._oddities:
                _log.warning("%s: %s", self._feed.source, oddity)
        self._oddities = oddities
