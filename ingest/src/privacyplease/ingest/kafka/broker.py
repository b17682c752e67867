"""How to reach Kafka, and whether a topic can safely be sent to."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from privacyplease.ingest.errors import BrokerError, SettingsError

__all__ = ["Settings", "no_response", "require_retention", "require_topic", "settings"]

Settings: TypeAlias = Mapping[str, str | int | float | bool]
"""Settings of Kafka's client, by librdkafka's names."""

_log = logging.getLogger(__name__)

_RESPONSE_S = 15.0
_CREATION_S = 5.0  # a broker that creates topics on demand needs a moment


def settings(bootstrap: str, file: Path | None = None) -> dict[str, str]:
    """Gives librdkafka's settings for a cluster.

    Args:
        bootstrap: Some of its brokers, "host:port,host:port".
        file: Further settings, one a line, as `security.protocol=SSL`: messages are plaintext, so who may connect to
            the broker matters.

    Raises:
        SettingsError: If the file cannot be read, or a line is not a setting.
    """
    return {**(_read(file) if file else {}), "bootstrap.servers": bootstrap}


def _read(file: Path) -> dict[str, str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read the Kafka settings in {file}: {type(error).__name__}") from error
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            # Not quoted: it may be a password without its name.
            raise SettingsError(f"expected name=value in line {number} of {file}, got something else")
        values[name.strip()] = value.strip()
    return values


def no_response(error: KafkaException, topic: str) -> BrokerError:
    """The error for a request about a topic that Kafka did not answer."""
    return BrokerError(f"expected a response from a Kafka broker about {topic!r}, got: {error.args[0].str()}")


def require_topic(client: Producer | AdminClient, topic: str) -> None:
    """Makes sure that the broker responds and has the topic.

    Raises:
        BrokerError: If not.
    """
    deadline = time.monotonic() + _CREATION_S
    while (error := _topic_error(client, topic)) is not None:
        if time.monotonic() > deadline:
            raise BrokerError(f"expected the topic {topic!r} on the broker, got: {error.str()}")
        time.sleep(0.2)


def _topic_error(client: Producer | AdminClient, topic: str) -> KafkaError | None:
    try:
        metadata = client.list_topics(topic, timeout=_RESPONSE_S).topics.get(topic)
    except KafkaException as error:
        raise no_response(error, topic) from error
    problem: KafkaError | None = metadata.error if metadata else KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    return problem


def require_retention(client: AdminClient, topic: str, earliest: int) -> None:
    """Makes sure that the topic will not discard messages with old timestamps as soon as it has them.

    Kafka counts a message's age from its timestamp: with a week's retention, a replay of last year's log would be
    discarded at once. If the broker does not tell us the topic's settings, the topic is accepted.

    Args:
        client: Connected to the broker.
        topic: The topic.
        earliest: The first message's timestamp, ms since the epoch.

    Raises:
        BrokerError: If it would lose messages.
    """
    config = _topic_settings(client, topic)
    if "compact" in config.get("cleanup.policy", ""):
        raise BrokerError(
            f"expected cleanup.policy=delete for {topic!r}, got compact, which keeps only one session per device"
        )
    retention = int(config.get("retention.ms", -1))
    if config.get("message.timestamp.type") == "LogAppendTime" or retention < 0:
        return
    if earliest < time.time() * 1_000 - retention:
        raise BrokerError(
            f"expected a topic that keeps messages this old, got retention.ms={retention} for {topic!r}: "
            "set retention.ms=-1 or message.timestamp.type=LogAppendTime on it"
        )


def _topic_settings(client: AdminClient, topic: str) -> Mapping[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        entries = client.describe_configs([resource], request_timeout=_RESPONSE_S)[resource].result(_RESPONSE_S)
    except (KafkaException, TimeoutError) as error:
        _log.info("the topic's settings are not available: %s", type(error).__name__)
        return {}
    return {name: entry.value for name, entry in entries.items() if entry.value is not None}
