"""Writes rejected messages to the dead letter topic, sealed, and makes sure that they were delivered."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from privacyplease.client import Client
from privacyplease.client.errors import PrivacyPleaseError
from privacyplease.ingest.kafka.broker import Settings
from privacyplease.ingest.kafka.dead_letters.batch_producer import (
    MAX_MESSAGE_BYTES,
    BatchProducer,
    OutgoingMessage,
    is_too_large,
)
from privacyplease.ingest.kafka.dead_letters.dead_letter import DeadLetter, UnsealedLetter, dead_letter_topic
from privacyplease.ingest.kafka.service_availability import ServiceAvailability
from privacyplease.ingest.standing_errors import StandingErrors

__all__ = ["DeadLetterWriter"]

_log = logging.getLogger("privacyplease.ingest.kafka.consumer")

_MAX_PAYLOAD = 16 << 20  # what the proxy seals
_TOO_LARGE = "expected a message that fits, sealed, into the dead letter topic; it is still in its own topic"
_CREATION_S = 15.0

_Result = TypeVar("_Result")


class DeadLetterWriter:
    """Writes dead letters. Not thread-safe.

    Args:
        client: Connected to the proxy, which seals the messages.
        dataset: The data set that the messages were meant for.
        topic: Where they came from.
        settings: Settings of Kafka's client.
        proxy: Whether the proxy is available.
        kafka: Whether the dead letter topic is available.
        stop: Once set, nothing is retried.
    """

    def __init__(
        self,
        client: Client,
        dataset: str,
        topic: str,
        settings: Settings,
        proxy: ServiceAvailability,
        kafka: ServiceAvailability,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._topic = dead_letter_topic(topic)
        self._settings = settings
        self._proxy = proxy
        self._kafka = kafka
        self._stop = stop
        self._standing = StandingErrors()
        self._producer: BatchProducer | None = None

    def write(self, unsealed: Sequence[UnsealedLetter]) -> bool:
        """Has letters sealed and writes them; retries until all were delivered.

        Returns:
            Whether all were delivered; False only if it was stopped before.

        Raises:
            RequestError: The proxy refuses to seal for this data set.
            RefusedError: The policy does not allow it.
            CertificateError: The proxy does not accept the certificate.
            BrokerError: Kafka's client has failed for good.
        """
        letters = self._retried(self._proxy, lambda: self._sealed(unsealed))
        while letters and not self._stop.is_set():
            letters = self._send(letters)
        return letters is not None and not letters

    def _sealed(self, unsealed: Sequence[UnsealedLetter]) -> list[DeadLetter]:
        whole = [letter.message if len(letter.message) <= _MAX_PAYLOAD else b"" for letter in unsealed]
        sealed = self._seal(whole)
        keys = self._seal_some({n: letter.key for n, letter in enumerate(unsealed) if letter.key is not None})
        headers = self._seal_some({n: letter.packed_headers() for n, letter in enumerate(unsealed) if letter.headers})
        letters = [
            DeadLetter(
                *(self._dataset, letter.field, letter.reason, letter.origin),
                *(sealed[number], keys.get(number), letter.omitted, headers.get(number)),
            )
            for number, letter in enumerate(unsealed)
        ]
        return [
            letter if len(original.message) <= _MAX_PAYLOAD else _without_message(letter)
            for letter, original in zip(letters, unsealed, strict=True)
        ]

    def _seal(self, payloads: Sequence[bytes]) -> list[bytes]:
        return self._client.seal_letters(self._dataset, payloads)

    def _seal_some(self, payloads: Mapping[int, bytes]) -> dict[int, bytes]:
        """The payloads, sealed, by the same numbers."""
        return dict(zip(payloads, self._seal(list(payloads.values())), strict=True))

    def _send(self, letters: list[DeadLetter]) -> list[DeadLetter]:
        """Sends dead letters; returns those to send again."""
        if self._producer is None:
            self._create_topic()
            self._producer = BatchProducer(self._settings)
        messages = [
            OutgoingMessage(self._topic, letter.sealed, letter.key, headers=letter.headers) for letter in letters
        ]
        errors = self._producer.send(messages, self._stop)
        failed = [(letter, error) for letter, error in zip(letters, errors, strict=True) if error is not None]
        if transient := [error for _, error in failed if not is_too_large(error)]:
            self._stop.wait(self._kafka.failed(f"{self._topic}: {transient[0].name()}"))
        elif not failed:
            self._kafka.succeeded()
        return [_without_message(letter) if is_too_large(error) else letter for letter, error in failed]

    def _retried(self, service: ServiceAvailability, attempt: Callable[[], _Result]) -> _Result | None:
        """The result of the first attempt that succeeds; None if stopped before."""
        while not self._stop.is_set():
            try:
                result = attempt()
            except PrivacyPleaseError as error:
                if self._standing.is_standing(error):
                    raise
                self._stop.wait(service.failed(type(error).__name__))
            else:
                service.succeeded()
                self._standing.succeeded()
                return result
        return None

    def _create_topic(self) -> None:
        """Creates the topic if it is missing, so that dead letters of any size fit and none expires."""
        config = {"retention.ms": "-1", "cleanup.policy": "delete", "max.message.bytes": str(MAX_MESSAGE_BYTES)}
        admin = AdminClient({"log_level": 2, **self._settings})
        try:
            admin.create_topics([NewTopic(self._topic, config=config)])[self._topic].result(_CREATION_S)
            _log.info("created topic %s for dead letters", self._topic)
        except (KafkaException, TimeoutError):
            return  # it exists already; or it cannot be created, which sending will show


def _without_message(letter: DeadLetter) -> DeadLetter:
    return letter._replace(sealed=b"", sealed_key=None, sealed_headers=None, omitted=_TOO_LARGE)
