"""Brings dead letters back to the topic that they came from, once each."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from confluent_kafka import KafkaError

from privacyplease.client import Client
from privacyplease.ingest.broker import Settings
from privacyplease.ingest.dead_letters.delivery import Delivery, Parcel, is_too_large
from privacyplease.ingest.dead_letters.letter import Letter
from privacyplease.ingest.dead_letters.mailbox import Mailbox
from privacyplease.ingest.stream_errors import DeliveryError

__all__ = ["Redriven", "opened", "redrive"]


@dataclass
class Redriven:
    """What became of letters.

    Attributes:
        redriven: Are in their topic again.
        unopened: Do not open: changed, or their epoch was erased.
        omitted: Came without their message, which is still in its topic.
        oversized: Are larger than their topic takes by now.
        foreign: Are no dead letters of this topic.
    """

    redriven: int = 0
    unopened: int = 0
    omitted: int = 0
    oversized: int = 0
    foreign: int = 0


def redrive(client: Client, topic: str, settings: Settings, stop: threading.Event) -> Redriven:
    """Brings all letters back that no replay has been past.

    A message goes to its partition, with its key, and only to the topic named here: a header that somebody changed on
    the bus leads no plaintext elsewhere. Past a letter that cannot go back the replay goes on; it stays where it is, to
    be listed. What is sent is noted once Kafka has it, so that a replay that breaks off repeats its last few at most:
    that changes no answer.

    Args:
        client: The proxy's, which opens.
        topic: The topic.
        settings: Of Kafka's client.
        stop: Ends the replay when set.

    Raises:
        DeliveryError: Messages did not arrive; they are due again.
        BrokerError: Kafka does not answer.
        PrivacyPleaseError: The proxy does not open letters.
    """
    total = Redriven()
    with Mailbox(topic, settings) as mailbox:
        delivery, partitions = Delivery(settings), -1
        for received in mailbox.waiting():
            if stop.is_set():
                break
            partitions = delivery.partitions(topic) if partitions < 0 else partitions
            parcels = _parcels(client, topic, partitions, [each.letter for each in received], total)
            _check(delivery.send(parcels, stop), total)
            mailbox.passed(received)
    return total


def opened(client: Client, letters: Sequence[Letter], *, keys: bool = False) -> list[bytes | None]:
    """The messages of letters, or their keys, in the same order; None for what does not open."""
    found: list[bytes | None] = []
    for dataset, some in groupby(letters, key=lambda letter: letter.dataset):
        sealed = [(letter.sealed_key or b"") if keys else letter.sealed for letter in some]
        found += client.open_letters(dataset, sealed)
    return found


def _parcels(
    client: Client, topic: str, partitions: int, letters: Sequence[Letter | None], total: Redriven
) -> list[Parcel]:
    own = [letter for letter in letters if letter is not None and letter.origin.topic == topic]
    whole = [letter for letter in own if not letter.omitted]
    messages = opened(client, whole)
    keyed = [letter for letter in whole if letter.sealed_key is not None]
    keys = dict(zip(map(id, keyed), opened(client, keyed, keys=True), strict=True))
    parcels = [
        Parcel(topic, message, keys.get(id(letter)), partition=_partition(letter, partitions))
        for letter, message in zip(whole, messages, strict=True)
        if message is not None
    ]
    total.foreign += len(letters) - len(own)
    total.omitted += len(own) - len(whole)
    total.unopened += len(whole) - len(parcels)
    return parcels


def _partition(letter: Letter, partitions: int) -> int:
    """Where it was, as the order of a device's messages lies in its partition; any, if that is gone."""
    return letter.origin.partition if 0 <= letter.origin.partition < partitions else -1


def _check(outcome: Sequence[KafkaError | None], total: Redriven) -> None:
    oversized = sum(map(is_too_large, outcome))
    failed = [error for error in outcome if error is not None and not is_too_large(error)]
    if failed:
        arrived = len(outcome) - len(failed)
        reason = f"expected {len(outcome):,} messages to be delivered, got {arrived:,}: {failed[0].str()}"
        raise DeliveryError(reason, len(failed))
    total.redriven += len(outcome) - oversized
    total.oversized += oversized
