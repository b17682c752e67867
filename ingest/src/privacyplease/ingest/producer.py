"""Sends messages to a topic of Kafka so that none is lost on the way, and knows what became of each.

None is doubled by a lost answer either. But a broker that was killed may, once restarted, take its last batch again.
Seen with Kafka 4.2: one producer id, one epoch, the same sequence numbers twice. So a reader must know a repeated
message for what it is; the records here are known by who, where and when.
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

from privacyplease.ingest.broker import Settings, require_topic
from privacyplease.ingest.stream_errors import BrokerError, DeliveryError, SettingsError

__all__ = ["Producer"]

_log = logging.getLogger(__name__)

_SETTINGS: Settings = {
    # A message that is sent again after a lost answer is not stored twice, and order within a partition stays.
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 20,
    # Java's, so that a device is in the same partition whichever client sends it.
    "partitioner": "murmur2_random",
    # Bounds the memory of what waits while the broker is away; `send` blocks then.
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 131_072,
}

_SLICE = 0.1  # seconds in which a wait notices that it should end


class Producer:
    """An idempotent producer for one topic. librdkafka repeats what fails for five minutes (`delivery.timeout.ms`).

    Attributes:
        delivered: How many messages the broker has acknowledged.
        failed: How many were given up.

    Raises:
        SettingsError: If the settings do not go together.
        BrokerError: If no broker answers or the topic is missing.
    """

    def __init__(self, topic: str, settings: Settings) -> None:
        self._topic = topic
        self._reason = ""
        self.delivered = 0
        self.failed = 0
        try:
            self._client = Client({**_SETTINGS, **settings}, logger=_log)
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client takes: {error.args[0].str()}") from error
        require_topic(self._client, topic)

    def send(
        self,
        key: str,
        value: bytes,
        timestamp: int,
        *,
        delivered: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> bool:
        """Hands a message over; waits where too many are under way.

        Args:
            key: What decides its partition.
            value: The message.
            timestamp: Its time, ms since the epoch.
            delivered: Called by `poll` or `settle` when the broker has it.
            stop: Ends the wait when set.

        Returns:
            Whether it was handed over; not where the wait was ended.

        Raises:
            BrokerError: If the producer cannot go on at all.
        """
        report = self._settled if delivered is None else functools.partial(self._settled, delivered=delivered)
        while True:
            try:
                self._client.produce(self._topic, value, key, timestamp=timestamp, on_delivery=report)
            except BufferError:
                if stop is not None and stop.is_set():
                    return False
                self._client.poll(_SLICE)
            except KafkaException as error:
                if error.args[0].fatal():
                    raise BrokerError(f"Kafka's client cannot go on: {error.args[0].str()}") from error
                self._settled(error.args[0])  # this message only, as one that is too large
                return True
            else:
                return True

    def poll(self) -> None:
        """Takes note of what has been delivered, without waiting."""
        self._client.poll(0)

    def settle(self, stop: threading.Event | None = None, grace: float = 10.0) -> bool:
        """Waits until it is known of each message whether it was delivered.

        Args:
            stop: When it is set, waits no longer than the grace.
            grace: Seconds.

        Returns:
            Whether that is known of all.
        """
        deadline = None
        while self._client.flush(_SLICE):
            if stop is not None and stop.is_set():
                deadline = deadline or time.monotonic() + grace
                if time.monotonic() > deadline:
                    return False
        return True

    def check(self) -> None:
        """Makes sure that nothing was given up or is still under way.

        Raises:
            DeliveryError: If not.
        """
        waiting = len(self._client)
        if missing := self.failed + waiting:
            reason = self._reason or "they were still under way"
            total = self.delivered + missing
            raise DeliveryError(
                f"expected {total:,} messages to be delivered, got {self.delivered:,}: {reason}", missing
            )

    def _settled(
        self, error: KafkaError | None, message: Message | None = None, delivered: Callable[[], None] | None = None
    ) -> None:
        if error is not None:
            self.failed += 1
            self._reason = self._reason or error.str()
            return
        self.delivered += 1
        if delivered is not None:
            delivered()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is under way after an error is given up at once: who has failed does not wait five minutes to say so.
        self._client.purge()
        self._client.flush(1)
