"""Sends a batch of messages and waits until the broker has each."""

import functools
import threading
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from privacyplease.ingest.errors import BrokerError, SettingsError
from privacyplease.ingest.kafka.broker import Settings, no_response

__all__ = ["MAX_MESSAGE_BYTES", "BatchProducer", "OutgoingMessage", "is_too_large"]

MAX_MESSAGE_BYTES = 17 << 20
"""The proxy seals at most 16 MiB; the rest is for the seal, the key and the headers."""

_SETTINGS = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "compression.type": "lz4",  # without it, a message that was compressed might not fit when it is sent back
    "partitioner": "murmur2_random",
    "message.max.bytes": MAX_MESSAGE_BYTES,
    "log_level": 2,
}

_POLL_S = 0.1
_GRACE_S = 5.0
_ANY = -1


class OutgoingMessage(NamedTuple):
    """A message to send; if no partition is given, its key determines it, and if no timestamp is, it is that of now."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int = _ANY
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp: int = 0


class BatchProducer:
    """An idempotent producer that reports on each message.

    Raises:
        SettingsError: If Kafka's client rejects the settings.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._client = Producer({**_SETTINGS, **settings})
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client accepts: {error.args[0].str()}") from error

    def send(self, messages: Sequence[OutgoingMessage], stop: threading.Event) -> list[KafkaError | None]:
        """Sends messages and waits for all; librdkafka retries for five minutes (`delivery.timeout.ms`).

        Args:
            messages: The messages.
            stop: Once set, waits only a moment longer.

        Returns:
            For each message why it was not delivered; None if it was.

        Raises:
            BrokerError: If Kafka's client has failed for good.
        """
        errors = self._send(messages, stop)
        # Kafka refuses a batch as a whole: messages that were in it with one that is too large are not at fault.
        for number in range(len(messages)) if len(messages) > 1 else ():
            if is_too_large(errors[number]):
                errors[number : number + 1] = self._send(messages[number : number + 1], stop)
        return errors

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            BrokerError: The broker does not respond, or has no such topic.
        """
        try:
            metadata = self._client.list_topics(topic, timeout=15).topics[topic]
        except KafkaException as error:
            raise no_response(error, topic) from error
        if metadata.error is not None:
            raise BrokerError(f"expected the topic {topic!r} on the broker, got: {metadata.error.str()}")
        return len(metadata.partitions)

    def _send(self, messages: Sequence[OutgoingMessage], stop: threading.Event) -> list[KafkaError | None]:
        errors: list[KafkaError | None] = [KafkaError(KafkaError._MSG_TIMED_OUT)] * len(messages)
        for number, message in enumerate(messages):
            self._produce(message, functools.partial(_set_error, errors, number), stop)
        grace = _GRACE_S
        while self._client.flush(_POLL_S) and grace > 0:
            grace -= _POLL_S if stop.is_set() else 0
        return errors

    def _produce(self, message: OutgoingMessage, report: functools.partial[None], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._client.produce(
                    message.topic,
                    message.value,
                    message.key,
                    message.partition,
                    headers=list(message.headers),
                    on_delivery=report,
                    timestamp=message.timestamp,
                )
            except BufferError:
                self._client.poll(_POLL_S)
            except KafkaException as error:
                if not is_too_large(error.args[0]):
                    raise BrokerError(f"Kafka's client has failed: {error.args[0].str()}") from error
                report(error.args[0], None)
                return
            else:
                return


def is_too_large(error: KafkaError | None) -> bool:
    """Whether a message was not delivered because it is larger than its topic accepts."""
    return error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def _set_error(errors: list[KafkaError | None], number: int, error: KafkaError | None, _message: object) -> None:
    errors[number] = error
