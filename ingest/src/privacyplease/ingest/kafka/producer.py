"""Sends messages to a Kafka topic without losing any, and tracks the delivery of each.

A lost acknowledgement does not duplicate a message either. But a broker that was killed may, once restarted, append its
last batch again. Seen with Kafka 4.2: one producer id, one epoch, the same sequence numbers twice. So a reader must
recognise a repeated message; our records are identified by subject, place and start.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as Client

from privacyplease.ingest.errors import BrokerError, DeliveryError, SettingsError
from privacyplease.ingest.kafka.broker import Settings, require_topic

__all__ = ["Producer"]

_log = logging.getLogger(__name__)

_SETTINGS: Settings = {
    # A message that is sent again after a lost acknowledgement is not stored twice; order within a partition is kept.
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 20,
    # As Java's client, so that a device is in the same partition whichever client sends it.
    "partitioner": "murmur2_random",
    # Bounds the memory of what is queued while the broker is unavailable; `send` blocks then.
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 131_072,
}

_POLL_S = 0.1  # how soon a wait notices that it should end


class Producer:
    """An idempotent producer for one topic. librdkafka retries for five minutes (`delivery.timeout.ms`).

    Attributes:
        delivered: How many messages the broker has acknowledged.
        failed: How many it gave up on.

    Raises:
        SettingsError: If Kafka's client rejects the settings.
        BrokerError: If no broker responds or the topic is missing.
    """

    def __init__(self, topic: str, settings: Settings) -> None:
        self._topic = topic
        self._reason = ""
        self.delivered = 0
        self.failed = 0
        try:
            self._client = Client({**_SETTINGS, **settings}, logger=_log)
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client accepts: {error.args[0].str()}") from error
        require_topic(self._client, topic)

    def send(
        self,
        key: str,
        value: bytes,
        timestamp: int,
        *,
        on_delivered: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> bool:
        """Queues a message; waits while too many are in flight.

        Args:
            key: Determines its partition.
            value: The message.
            timestamp: Its time, ms since the epoch.
            on_delivered: Called by `poll` or `settle` once the broker has it.
            stop: Ends the wait when set.

        Returns:
            Whether it was queued; False if the wait was ended.

        Raises:
            BrokerError: If Kafka's client has failed for good.
        """
        report = self._settled if on_delivered is None else functools.partial(self._settled, on_delivered=on_delivered)
        while True:
            try:
                self._client.produce(self._topic, value, key, timestamp=timestamp, on_delivery=report)
            except BufferError:
                if stop is not None and stop.is_set():
                    return False
                self._client.poll(_POLL_S)
            except KafkaException as error:
                if error.args[0].fatal():
                    raise BrokerError(f"Kafka's client has failed: {error.args[0].str()}") from error
                self._settled(error.args[0])  # concerns only this message, e.g. one that is too large
                return True
            else:
                return True

    def poll(self) -> None:
        """Processes delivery reports, without waiting."""
        self._client.poll(0)

    def settle(self, stop: threading.Event | None = None, grace: float = 10.0) -> bool:
        """Waits until every message was delivered or has failed.

        Args:
            stop: Once set, the wait ends after the grace period.
            grace: The grace period in seconds.

        Returns:
            Whether all were settled.
        """
        deadline = None
        while self._client.flush(_POLL_S):
            if stop is not None and stop.is_set():
                deadline = deadline or time.monotonic() + grace
                if time.monotonic() > deadline:
                    return False
        return True

    def check(self) -> None:
        """Makes sure that nothing has failed or is still in flight.

        Raises:
            DeliveryError: If not.
        """
        in_flight = len(self._client)
        if missing := self.failed + in_flight:
            reason = self._reason or "the others are still in flight"
            total = self.delivered + missing
            raise DeliveryError(
                f"expected {total:,} messages to be delivered, got {self.delivered:,}: {reason}", missing
            )

    def _settled(
        self, error: KafkaError | None, message: Message | None = None, on_delivered: Callable[[], None] | None = None
    ) -> None:
        if error is not None:
            self.failed += 1
            self._reason = self._reason or error.str()
            return
        self.delivered += 1
        if on_delivered is not None:
            on_delivered()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error, give up at once on what is in flight rather than report the error five minutes late.
        self._client.purge()
        self._client.flush(1)
