"""Fixtures with a real Kafka, started for the run or given by `KAFKA_BOOTSTRAP`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.services import kafka_jars, maven_jars
from tests.services.kafka import Kafka
from tests.services.topics import Topics

__all__ = ["kafka", "kafka_topic", "topics"]


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A private Kafka for the whole run. A test that kills it must restart it."""
    try:
        kafka_jars.fetch()
    except maven_jars.JarsUnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    with Kafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def topics(request: pytest.FixtureRequest) -> Topics:
    """Topics of the broker that `KAFKA_BOOTSTRAP` names, or of the private one."""
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        return Topics(bootstrap)
    private: Kafka = request.getfixturevalue("kafka")
    return private


@pytest.fixture
def kafka_topic(topics: Topics) -> Iterator[str]:
    """The name of an empty topic of four partitions."""
    topic = topics.create_topic()
    yield topic
    topics.delete_topic(topic)
