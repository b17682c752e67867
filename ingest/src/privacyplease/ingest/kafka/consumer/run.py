"""A run of the consumer: from a topic to the proxy until it is stopped."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property

from privacyplease.client import Client
from privacyplease.ingest.kafka.broker import Settings
from privacyplease.ingest.kafka.consumer.group_member import GroupMember
from privacyplease.ingest.kafka.consumer.in_flight import InFlightBatches
from privacyplease.ingest.kafka.consumer.lag import GroupLag
from privacyplease.ingest.kafka.consumer.parsers import parser_for
from privacyplease.ingest.kafka.consumer.uploader import Uploader
from privacyplease.ingest.kafka.dead_letters import DeadLetterWriter
from privacyplease.ingest.kafka.service_availability import ServiceAvailability

__all__ = ["ConsumerOptions", "ConsumerRun"]

_log = logging.getLogger("privacyplease.ingest.kafka.consumer")

# One being parsed, two at the proxy, one being sent. More would only use memory.
_MAX_IN_FLIGHT = 4
_STOP_S = 20.0
_REPORT_S = 60.0


@dataclass(frozen=True)
class ConsumerOptions:
    """What to consume, and how.

    Attributes:
        topic: The topic.
        dataset: The data set that its messages belong to.
        group: The consumer group; its members share the partitions.
        flush_records: A batch is sent once it has so many messages,
        flush_s: or after so many seconds.
        zone: The time zone of times that do not name theirs.
    """

    topic: str
    dataset: str
    group: str
    flush_records: int = 5_000
    flush_s: float = 0.5
    zone: tzinfo | None = None


class ConsumerRun:
    """Consumes a topic as one member of a group.

    Args:
        client: Connected to the proxy.
        settings: Settings of Kafka's client.
        options: What to consume.

    Attributes:
        consumed: How many messages were read.

    Raises:
        IngestError: Kafka's client rejects the settings, or there is no parser for the data set.
    """

    def __init__(self, client: Client, settings: Settings, options: ConsumerOptions) -> None:
        self._client = client
        self._options = options
        self._abandoned = threading.Event()
        self._in_flight = InFlightBatches(_MAX_IN_FLIGHT)
        self._proxy, self._kafka = ServiceAvailability("proxy"), ServiceAvailability("kafka")
        self._dead_letters = ServiceAvailability("dead letters")
        topic, dataset = options.topic, options.dataset
        dead_letters = DeadLetterWriter(
            client, dataset, topic, settings, self._proxy, self._dead_letters, self._abandoned
        )
        parse = parser_for(dataset, options.zone)
        self._uploader = Uploader(client, dataset, parse, self._in_flight, dead_letters, self._proxy, self._abandoned)
        member_settings = {**settings, "group.id": options.group}
        self._member = GroupMember(topic, member_settings, self._in_flight, self._kafka, self._is_hopeless)
        self._member_settings = member_settings
        self.consumed = 0

    @property
    def counts(self) -> dict[str, int]:
        """What happened to the messages, and how many attempts failed."""
        return {
            "consumed": self.consumed,
            "stored": self._uploader.stored,
            "dead_letters": self._uploader.rejected,
            "tombstones": self._uploader.tombstones,
            "lost": self._member.lost,
            "retries": sum(service.attempts for service in (self._proxy, self._kafka, self._dead_letters)),
        }

    @cached_property
    def _lag(self) -> GroupLag:
        return GroupLag(self._options.topic, self._member_settings)

    def lag(self) -> dict[int, int]:
        """How many messages of each partition are not committed. May be called from any thread."""
        return self._lag.of(self._member.partitions)

    def run(self, stop: threading.Event) -> None:
        """Consumes until stopped; batches in flight are then finished and committed, unless that takes too long.

        Raises:
            PrivacyPleaseError: The proxy refuses the data set's records as a whole, or this client.
            BrokerError: Kafka's client has failed for good.
        """
        self._uploader.start()
        try:
            self._consume(stop)
        finally:
            self._finish()
        if self._uploader.error is not None:
            raise self._uploader.error

    def _consume(self, stop: threading.Event) -> None:
        reported = time.monotonic()
        while not stop.is_set() and self._uploader.error is None:
            self._member.commit()
            self._step()
            if time.monotonic() - reported > _REPORT_S:
                reported = time.monotonic()
                _log.info("%s", _formatted(self.counts))

    def _step(self) -> None:
        if self._in_flight.full:
            self._member.wait_for_room()
        elif (batch := self._member.read_batch(self._options.flush_records, self._options.flush_s)) is not None:
            self.consumed += len(batch.messages)
            self._in_flight.add(batch)
            self._uploader.submit(batch)

    def _is_hopeless(self) -> bool:
        """Whether there is no point in waiting for the batches in flight."""
        return self._proxy.unavailable or self._abandoned.is_set() or self._uploader.error is not None

    def _finish(self) -> None:
        self._uploader.close()
        finished = self._in_flight.wait_for_all(
            _STOP_S, given_up=lambda: self._proxy.unavailable or self._uploader.error is not None
        )
        self._abandoned.set()
        self._member.commit(wait=True)
        self._member.close()
        _log.info("stopped; %s%s", _formatted(self.counts), "" if finished else "; the rest will be read again")


def _formatted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
