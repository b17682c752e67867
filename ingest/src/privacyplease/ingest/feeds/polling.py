"""Asks feeds at intervals and sends the stations that have changed."""

import functools
import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from privacyplease.ingest.feeds.station import Snapshot, Station
from privacyplease.ingest.producer import Producer
from privacyplease.ingest.stream_errors import FeedError, FeedRefusedError

__all__ = ["Feed", "Pace", "poll"]

_log = logging.getLogger(__name__)


class Feed(Protocol):
    """What can be asked for stations."""

    source: str

    def poll(self) -> Snapshot:
        """Asks once; raises a `FeedError` where there is no good answer."""


class Pace(NamedTuple):
    """How often feeds are asked.

    Attributes:
        interval: Seconds from one good answer to the next question, if the feed does not say more.
        first_retry: Seconds to wait after a failure; twice as long after each further one.
        longest_retry: Seconds that no such wait exceeds.
    """

    interval: float = 60.0
    first_retry: float = 1.0
    longest_retry: float = 300.0

    def retry(self, failures: int, retry_after: float = 0) -> float:
        """Gives how long to wait: exponential with jitter, so that many clients do not come back all at once.

        Args:
            failures: How many there were in a row, from 1.
            retry_after: Seconds that the feed asks for.
        """
        wait = min(self.longest_retry, self.first_retry * 2.0 ** min(failures - 1, 30))
        return max(random.uniform(wait / 2, wait), retry_after)  # noqa: S311 (nothing secret)


def poll(
    feeds: Sequence[Feed],
    producer: Producer,
    *,
    stop: threading.Event,
    pace: Pace = Pace(),  # noqa: B008 (immutable)
) -> None:
    """Asks feeds in turn, each at its own pace, until told to stop; failures are logged and asked again for ever.

    A station is sent when it differs from what was last *delivered*, so that one which Kafka did not take is sent again
    with the next answer. After a start each is sent once.

    Args:
        feeds: The feeds.
        producer: Sends stations, keyed by contract/number.
        stop: Ends it when set.
        pace: How often.

    Raises:
        FeedRefusedError: If a feed refuses the first question: it would refuse all others.
        DeliveryError: If at the end stations are still under way.
        BrokerError: If the producer cannot go on.
    """
    turns = [_Turn(feed, producer, pace, stop) for feed in feeds]
    while turns and not stop.is_set():
        turn = min(turns, key=lambda each: each.due)
        if not stop.wait(max(turn.due - time.monotonic(), 0)):
            turn.take()


class _Turn:
    """A feed, what is known of its stations, and when it is to be asked next."""

    def __init__(self, feed: Feed, producer: Producer, pace: Pace, stop: threading.Event) -> None:
        self._feed, self._producer, self._pace, self._stop = feed, producer, pace, stop
        self._known: dict[str, Station] = {}
        self._failures = 0
        self._answered = False
        self.due = time.monotonic()

    def take(self) -> None:
        try:
            snapshot = self._feed.poll()
        except FeedError as error:
            if isinstance(error, FeedRefusedError) and not self._answered:
                raise
            self._failures += 1
            wait = self._pace.retry(self._failures, error.retry_after)
            _log.warning("%s: %s; asking again in %.0f s", self._feed.source, error, wait)
        else:
            self._failures, self._answered = 0, True
            self._send(snapshot)
            wait = max(self._pace.interval, snapshot.fresh_for)
        self.due = time.monotonic() + wait

    def _send(self, snapshot: Snapshot) -> None:
        changed = [station for station in snapshot.stations if self._known.get(station.key) != station]
        before = self._producer.failed
        for station in changed:
            remember = functools.partial(self._known.__setitem__, station.key, station)
            message = station.message()
            self._producer.send(station.key, message, station.polled_at, delivered=remember, stop=self._stop)
        if not self._producer.settle(self._stop):
            self._producer.check()
        # Counts only: which stations, and whose, is what must not be in a log.
        _log.info(
            "%s: %d stations, %d changed, %d unreadable",
            self._feed.source,
            len(snapshot.stations),
            len(changed),
            snapshot.unreadable,
        )
        if failed := self._producer.failed - before:
            _log.warning("%s: %d stations not delivered; they are sent again", self._feed.source, failed)
