"""Sends dead letters back to the topic that they came from, once each."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from confluent_kafka import KafkaError

from privacyplease.client import Client
from privacyplease.ingest.errors import DeliveryError
from privacyplease.ingest.kafka.broker import Settings
from privacyplease.ingest.kafka.dead_letters.batch_producer import BatchProducer, OutgoingMessage, is_too_large
from privacyplease.ingest.kafka.dead_letters.dead_letter import DeadLetter, unpacked_headers
from privacyplease.ingest.kafka.dead_letters.reader import DeadLetterReader

__all__ = ["RedriveSummary", "open_keys", "open_messages", "redrive"]


@dataclass
class RedriveSummary:
    """What happened to the dead letters.

    Attributes:
        redriven: How many are in their topic again.
        unopened: How many could not be opened: they were changed, or their epoch was erased.
        omitted: How many were written without their message, which is still in its topic.
        oversized: How many are larger than their topic now accepts.
        foreign: How many are not dead letters of this topic.
    """

    redriven: int = 0
    unopened: int = 0
    omitted: int = 0
    oversized: int = 0
    foreign: int = 0


def redrive(client: Client, topic: str, settings: Settings, stop: threading.Event) -> RedriveSummary:
    """Sends back all dead letters that no earlier replay has processed.

    A message goes to its partition, with its key, its headers and its time, and only to the topic named here: a header
    that someone changed on the bus must not send plaintext elsewhere. A dead letter that cannot go back is skipped; it
    stays in its topic and is still listed. Progress is committed once Kafka has the messages, so a replay that is
    interrupted repeats at most its last few: that changes no answer.

    Args:
        client: Connected to the proxy, which opens the messages.
        topic: The topic.
        settings: Settings of Kafka's client.
        stop: Ends the replay when set.

    Raises:
        DeliveryError: Messages were not delivered; the next replay sends them.
        BrokerError: Kafka does not respond.
        PrivacyPleaseError: The proxy does not open the messages.
    """
    summary = RedriveSummary()
    with DeadLetterReader(topic, settings) as reader:
        producer, partitions = BatchProducer(settings), -1
        for chunk in reader.read_pending():
            if stop.is_set():
                break
            partitions = producer.partitions(topic) if partitions < 0 else partitions
            messages = _messages(client, topic, partitions, [stored.letter for stored in chunk], summary)
            _check(producer.send(messages, stop), summary)
            reader.mark_redriven(chunk)
    return summary


def open_messages(client: Client, letters: Sequence[DeadLetter]) -> list[bytes | None]:
    """The messages of dead letters, in the same order; None for one that cannot be opened."""
    return _open(client, [(letter.dataset, letter.sealed) for letter in letters])


def open_keys(client: Client, letters: Sequence[DeadLetter]) -> list[bytes | None]:
    """The keys of dead letters' messages, in the same order; None for one that cannot be opened."""
    return _open(client, [(letter.dataset, letter.sealed_key or b"") for letter in letters])


def _open(client: Client, sealed: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
    payloads: list[bytes | None] = []
    for dataset, group in groupby(sealed, key=lambda pair: pair[0]):
        payloads += client.open_letters(dataset, [payload for _, payload in group])
    return payloads


def _messages(
    client: Client, topic: str, partitions: int, letters: Sequence[DeadLetter | None], summary: RedriveSummary
) -> list[OutgoingMessage]:
    own = [letter for letter in letters if letter is not None and letter.origin.topic == topic]
    whole = [letter for letter in own if not letter.omitted]
    values = open_messages(client, whole)
    keyed = [letter for letter in whole if letter.sealed_key is not None]
    keys = dict(zip(map(id, keyed), open_keys(client, keyed), strict=True))
    headed = [letter for letter in whole if letter.sealed_headers is not None]
    packed = _open(client, [(letter.dataset, letter.sealed_headers or b"") for letter in headed])
    headers = {id(letter): unpacked_headers(text) for letter, text in zip(headed, packed, strict=True) if text}
    messages = [
        OutgoingMessage(
            topic,
            value,
            keys.get(id(letter)),
            partition=_partition(letter, partitions),
            headers=headers.get(id(letter), ()),
            timestamp=max(letter.origin.timestamp, 0),
        )
        for letter, value in zip(whole, values, strict=True)
        if value is not None
    ]
    summary.foreign += len(letters) - len(own)
    summary.omitted += len(own) - len(whole)
    summary.unopened += len(whole) - len(messages)
    return messages


def _partition(letter: DeadLetter, partitions: int) -> int:
    """Its original partition, which keeps the order of a device's messages; any, if that no longer exists."""
    return letter.origin.partition if 0 <= letter.origin.partition < partitions else -1


def _check(errors: Sequence[KafkaError | None], summary: RedriveSummary) -> None:
    oversized = sum(map(is_too_large, errors))
    failed = [error for error in errors if error is not None and not is_too_large(error)]
    if failed:
        delivered = len(errors) - len(failed)
        reason = f"expected {len(errors):,} messages to be delivered, got {delivered:,}: {failed[0].str()}"
        raise DeliveryError(reason, len(failed))
    summary.redriven += len(errors) - oversized
    summary.oversized += oversized
