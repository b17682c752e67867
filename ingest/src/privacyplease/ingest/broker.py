"""How to reach Kafka, and whether a topic there is fit to be sent to."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from privacyplease.ingest.stream_errors import BrokerError, SettingsError

__all__ = ["Settings", "require_retention", "require_topic", "settings"]

Settings: TypeAlias = Mapping[str, str | int | float | bool]
"""Settings of Kafka's client, by librdkafka's names."""

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 15.0
_CREATION_SECONDS = 5.0  # where the broker makes topics as they are asked for, it takes a moment


def settings(bootstrap: str, file: Path | None = None) -> dict[str, str]:
    """Gives librdkafka's settings for a cluster.

    Args:
        bootstrap: Some of its brokers, "host:port,host:port".
        file: Further settings a line each, as `security.protocol=SSL`: who may read plaintext decides it on a bus too.

    Raises:
        SettingsError: If the file cannot be read, or a line is no setting.
    """
    return {**(_lines(file) if file else {}), "bootstrap.servers": bootstrap}


def _lines(file: Path) -> dict[str, str]:
    found = {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the Kafka settings at {file}: {type(error).__name__}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            found[name.strip()] = value.strip()
        elif line.strip() and not line.lstrip().startswith("#"):
            # Not quoted: it may be a password that has lost its name.
            raise SettingsError(f"expected name=value in line {number} of {file}, got something else")
    return found


def require_topic(client: Producer | AdminClient, topic: str) -> None:
    """Makes sure that the broker answers and has the topic.

    Raises:
        BrokerError: If not.
    """
    deadline = time.monotonic() + _CREATION_SECONDS
    while (error := _topic_error(client, topic)) is not None:
        if time.monotonic() > deadline:
            raise BrokerError(f"expected the topic {topic!r} on the broker, got: {error.str()}")
        time.sleep(0.2)


def _topic_error(client: Producer | AdminClient, topic: str) -> KafkaError | None:
    try:
        found = client.list_topics(topic, timeout=_ANSWER_SECONDS)
    except KafkaException as error:
        raise BrokerError(f"expected an answer from a Kafka broker, got: {error.args[0].str()}") from error
    metadata = found.topics.get(topic)
    problem: KafkaError | None = metadata.error if metadata else KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    return problem


def require_retention(client: AdminClient, topic: str, earliest: int) -> None:
    """Makes sure that the topic will not throw away messages with timestamps of the past as soon as it has them.

    Kafka counts a message's age from its timestamp, so that a week's retention would end a replay of last year at once.
    Where the broker does not tell us, nothing is known and nothing is refused.

    Args:
        client: Asks the broker.
        topic: The topic.
        earliest: The first message's timestamp, ms since the epoch.

    Raises:
        BrokerError: If it would lose messages.
    """
    known = _topic_settings(client, topic)
    if "compact" in known.get("cleanup.policy", ""):
        raise BrokerError(f"expected cleanup.policy=delete for {topic!r}, got compact: it keeps one session a device")
    keeps = int(known.get("retention.ms", -1))
    if known.get("message.timestamp.type") == "LogAppendTime" or keeps < 0:
        return
    if earliest < time.time() * 1_000 - keeps:
        raise BrokerError(
            f"expected a topic that keeps messages of that age, got retention.ms={keeps} for {topic!r}: "
            "set retention.ms=-1 or message.timestamp.type=LogAppendTime on it"
        )


def _topic_settings(client: AdminClient, topic: str) -> Mapping[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        answer = client.describe_configs([resource], request_timeout=_ANSWER_SECONDS)[resource].result(_ANSWER_SECONDS)
    except (KafkaException, TimeoutError) as error:
        _log.info("the broker does not tell the topic's settings: %s", type(error).__name__)
        return {}
    return {name: entry.value for name, entry in answer.items() if entry.value is not None}
