"""Sends a few messages and waits until the broker has each."""

import functools
import threading
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Producer

from privacyplease.ingest.broker import Settings
from privacyplease.ingest.stream_errors import BrokerError, SettingsError

__all__ = ["LARGEST", "Delivery", "Parcel", "is_too_large"]

LARGEST = 17 << 20
"""Bytes of a message: 16 MiB is the most that the proxy seals, and the rest is for what stands around it."""

_SETTINGS = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "compression.type": "lz4",  # what came compressed may not fit otherwise when it goes back
    "partitioner": "murmur2_random",
    "message.max.bytes": LARGEST,
    "log_level": 2,
}

_SLICE_S = 0.1
_GRACE_S = 5.0
_ANY = -1


class Parcel(NamedTuple):
    """A message to send; its partition is chosen by its key if none is given."""

    topic: str
    value: bytes
    key: bytes | None = None
    partition: int = _ANY
    headers: Sequence[tuple[str, bytes]] = ()


class Delivery:
    """An idempotent producer that reports on each message.

    Raises:
        SettingsError: If the settings do not go together.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._client = Producer({**_SETTINGS, **settings})
        except KafkaException as error:
            raise SettingsError(f"expected settings that Kafka's client takes: {error.args[0].str()}") from error

    def send(self, parcels: Sequence[Parcel], stop: threading.Event) -> list[KafkaError | None]:
        """Sends messages and waits for all; librdkafka repeats what fails for five minutes (`delivery.timeout.ms`).

        Args:
            parcels: The messages.
            stop: When it is set, waits only a moment longer.

        Returns:
            For each message why it did not arrive; None if it did.

        Raises:
            BrokerError: If the producer cannot go on at all.
        """
        outcome = self._sent(parcels, stop)
        # Kafka refuses a batch as a whole: those who were with one that is too large are not at fault.
        for number in range(len(parcels)) if len(parcels) > 1 else ():
            if is_too_large(outcome[number]):
                outcome[number : number + 1] = self._sent(parcels[number : number + 1], stop)
        return outcome

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            BrokerError: The broker does not answer, or has no such topic.
        """
        try:
            found = self._client.list_topics(topic, timeout=15).topics[topic]
        except KafkaException as error:
            raise BrokerError(f"expected an answer from a Kafka broker, got: {error.args[0].str()}") from error
        if found.error is not None:
            raise BrokerError(f"expected the topic {topic!r} on the broker, got: {found.error.str()}")
        return len(found.partitions)

    def _sent(self, parcels: Sequence[Parcel], stop: threading.Event) -> list[KafkaError | None]:
        outcome: list[KafkaError | None] = [KafkaError(KafkaError._MSG_TIMED_OUT)] * len(parcels)
        for number, parcel in enumerate(parcels):
            self._hand_over(parcel, functools.partial(_note, outcome, number), stop)
        grace = _GRACE_S
        while self._client.flush(_SLICE_S) and grace > 0:
            grace -= _SLICE_S if stop.is_set() else 0
        return outcome

    def _hand_over(self, parcel: Parcel, report: functools.partial[None], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._client.produce(
                    parcel.topic,
                    parcel.value,
                    parcel.key,
                    parcel.partition,
                    headers=list(parcel.headers),
                    on_delivery=report,
                )
            except BufferError:
                self._client.poll(_SLICE_S)
            except KafkaException as error:
                if not is_too_large(error.args[0]):
                    raise BrokerError(f"Kafka's client cannot go on: {error.args[0].str()}") from error
                report(error.args[0], None)
                return
            else:
                return


def is_too_large(error: KafkaError | None) -> bool:
    """Whether a message did not arrive because it is larger than its topic takes."""
    return error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE


def _note(outcome: list[KafkaError | None], number: int, error: KafkaError | None, _message: object) -> None:
    outcome[number] = error
