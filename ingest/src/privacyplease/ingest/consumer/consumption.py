"""A run of a consumer: from a topic to the proxy until it is told to stop."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from privacyplease.client import Client
from privacyplease.ingest.broker import Settings
from privacyplease.ingest.consumer.courier import Courier
from privacyplease.ingest.consumer.flight import Flight
from privacyplease.ingest.consumer.intake import Intake
from privacyplease.ingest.consumer.parsers import parser_of
from privacyplease.ingest.dead_letters import Post
from privacyplease.ingest.link import Link

__all__ = ["Consumption", "Task"]

_log = logging.getLogger("privacyplease.ingest.consumer")

# Batches under way: one being read, two at the proxy, one on its way there. More would only take memory.
_MOST_UNDER_WAY = 4
_STOP_S = 20.0
_REPORT_S = 60.0


@dataclass(frozen=True)
class Task:
    """What to consume.

    Attributes:
        topic: The topic.
        dataset: What its messages are.
        group: Members of one group share the partitions.
        flush_records: A batch is sent when it has so many messages,
        flush_s: or after so many seconds.
        zone: The time zone of times that do not tell theirs.
    """

    topic: str
    dataset: str
    group: str
    flush_records: int = 5_000
    flush_s: float = 0.5
    zone: tzinfo | None = None


class Consumption:
    """Consumes a topic as one member of a group.

    Args:
        client: The proxy's.
        settings: Of Kafka's client.
        task: What to consume.

    Attributes:
        consumed: How many messages were read.

    Raises:
        IngestError: The settings do not go together, or nobody can read the data set's messages.
    """

    def __init__(self, client: Client, settings: Settings, task: Task) -> None:
        self._client = client
        self._task = task
        self._abandoned = threading.Event()
        self._flight = Flight(_MOST_UNDER_WAY)
        self._proxy, self._kafka, letters = Link("proxy"), Link("kafka"), Link("dead letters")
        self._links = self._proxy, self._kafka, letters
        post = Post(client, task.dataset, task.topic, settings, self._proxy, letters, self._abandoned)
        parse = parser_of(task.dataset, task.zone)
        self._courier = Courier(client, task.dataset, parse, self._flight, post, self._proxy, self._abandoned)
        group = {"group.id": task.group}
        self._intake = Intake(task.topic, {**settings, **group}, self._flight, self._kafka, self._is_hopeless)
        self.consumed = 0

    @property
    def counts(self) -> dict[str, int]:
        """What became of the messages, and how many attempts were in vain."""
        return {
            "consumed": self.consumed,
            "stored": self._courier.stored,
            "dead_letters": self._courier.rejected,
            "retries": sum(link.attempts for link in self._links),
        }

    def run(self, stop: threading.Event) -> None:
        """Consumes until told to stop; what is under way then is finished and committed, if it does not take long.

        Raises:
            PrivacyPleaseError: The proxy refuses the data set's records as a whole.
            BrokerError: Kafka's client cannot go on.
        """
        self._courier.start()
        try:
            self._consume(stop)
        finally:
            self._finish()
        if self._courier.error is not None:
            raise self._courier.error

    def _consume(self, stop: threading.Event) -> None:
        reported = time.monotonic()
        while not stop.is_set() and self._courier.error is None:
            self._intake.commit()
            self._proceed()
            if time.monotonic() - reported > _REPORT_S:
                reported = time.monotonic()
                _log.info("%s", _spoken(self.counts))

    def _proceed(self) -> None:
        if self._flight.full:
            self._intake.hold()
        elif (batch := self._intake.gather(self._task.flush_records, self._task.flush_s)) is not None:
            self.consumed += len(batch.messages)
            self._flight.add(batch)
            self._courier.take(batch)

    def _is_hopeless(self) -> bool:
        """Whether nobody should wait for what is under way."""
        return self._proxy.away or self._abandoned.is_set() or self._courier.error is not None

    def _finish(self) -> None:
        self._courier.end()
        landed = self._flight.wait_for_all(
            _STOP_S, given_up=lambda: self._proxy.away or self._courier.error is not None
        )
        self._abandoned.set()
        self._intake.commit(wait=True)
        self._intake.close()
        _log.info("stopped; %s%s", _spoken(self.counts), "" if landed else "; the rest will be read again")


def _spoken(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
