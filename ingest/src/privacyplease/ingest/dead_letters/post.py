"""Brings messages to the dead letter topic, sealed, and knows that they arrived."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import KafkaException, Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from privacyplease.client import Client
from privacyplease.client.errors import PrivacyPleaseError, RequestError
from privacyplease.ingest.broker import Settings
from privacyplease.ingest.dead_letters.delivery import LARGEST, Delivery, Parcel, is_too_large
from privacyplease.ingest.dead_letters.letter import Letter, Origin, dead_letter_topic
from privacyplease.ingest.link import Link
from privacyplease.ingest.parsed import Misfit

__all__ = ["Post"]

_log = logging.getLogger("privacyplease.ingest.consumer")

_MOST_PAYLOAD = 16 << 20  # what the proxy seals
_TOO_LARGE = "expected a message that fits sealed into the dead letter topic; it is still in its own topic"
_CREATION_S = 15.0

_Made = TypeVar("_Made")


class Post:
    """Posts dead letters. For one thread.

    Args:
        client: The proxy's, which seals.
        dataset: What the messages were meant for.
        topic: Where they came from.
        settings: Of Kafka's client.
        proxy: Told whether the proxy answers.
        kafka: Told whether Kafka takes letters.
        stop: When it is set, nothing is tried again.
    """

    def __init__(
        self,
        client: Client,
        dataset: str,
        topic: str,
        settings: Settings,
        proxy: Link,
        kafka: Link,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._topic = dead_letter_topic(topic)
        self._settings = settings
        self._proxy = proxy
        self._kafka = kafka
        self._stop = stop
        self._delivery: Delivery | None = None

    def post(self, messages: Sequence[Message], misfits: Sequence[Misfit]) -> bool:
        """Posts those of a batch's messages that do not fit; tries until all have arrived.

        Returns:
            Whether they have; False only if it was stopped before.

        Raises:
            RequestError: The proxy refuses to seal for this data set.
            BrokerError: Kafka's client cannot go on.
        """
        letters = self._until_stopped(self._proxy, lambda: self._sealed(messages, misfits))
        while letters and not self._stop.is_set():
            letters = self._undelivered(letters)
        return letters is not None and not letters

    def _sealed(self, messages: Sequence[Message], misfits: Sequence[Misfit]) -> list[Letter]:
        dead = [messages[misfit.position] for misfit in misfits]
        values = [message.value() or b"" for message in dead]
        sealed = self._seal([value if len(value) <= _MOST_PAYLOAD else b"" for value in values])
        keyed = [at for at, message in enumerate(dead) if message.key() is not None]
        keys = dict(zip(keyed, self._seal([dead[at].key() or b"" for at in keyed]), strict=True))
        letters = [
            Letter(self._dataset, misfit.field, misfit.reason, Origin.of(message), sealed[at], keys.get(at))
            for at, (message, misfit) in enumerate(zip(dead, misfits, strict=True))
        ]
        return [_fitting(letter, len(value)) for letter, value in zip(letters, values, strict=True)]

    def _seal(self, payloads: Sequence[bytes]) -> list[bytes]:
        return self._client.seal_letters(self._dataset, payloads)

    def _undelivered(self, letters: list[Letter]) -> list[Letter]:
        """Sends letters; returns those to send again."""
        if self._delivery is None:
            self._create_topic()
            self._delivery = Delivery(self._settings)
        parcels = [Parcel(self._topic, letter.sealed, letter.key, headers=letter.headers) for letter in letters]
        outcome = zip(letters, self._delivery.send(parcels, self._stop), strict=True)
        failed = [(letter, error) for letter, error in outcome if error is not None]
        if waits := [error for _, error in failed if not is_too_large(error)]:
            self._stop.wait(self._kafka.failed(waits[0].name()))
        elif not failed:
            self._kafka.answered()
        return [_without_message(letter) if is_too_large(error) else letter for letter, error in failed]

    def _until_stopped(self, link: Link, make: Callable[[], _Made]) -> _Made | None:
        while not self._stop.is_set():
            try:
                made = make()
            except RequestError:
                raise
            except PrivacyPleaseError as error:
                self._stop.wait(link.failed(type(error).__name__))
            else:
                link.answered()
                return made
        return None

    def _create_topic(self) -> None:
        """Makes the topic if it is missing, so that letters of any size fit and none goes because of its age."""
        config = {"retention.ms": "-1", "cleanup.policy": "delete", "max.message.bytes": str(LARGEST)}
        admin = AdminClient({"log_level": 2, **self._settings})
        try:
            admin.create_topics([NewTopic(self._topic, config=config)])[self._topic].result(_CREATION_S)
            _log.info("topic %s made for dead letters", self._topic)
        except (KafkaException, TimeoutError):
            return  # it is there already; or it cannot be made, which sending will tell


def _fitting(letter: Letter, size: int) -> Letter:
    return letter if size <= _MOST_PAYLOAD else _without_message(letter)


def _without_message(letter: Letter) -> Letter:
    return letter._replace(sealed=b"", sealed_key=None, omitted=_TOO_LARGE)
