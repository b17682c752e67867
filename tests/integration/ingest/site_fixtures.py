"""Fixtures with a site: Kafka with an empty topic, and both servers over a MariaDB."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.ingest.kafka_site import KafkaSite
from tests.services.kafka import Kafka
from tests.services.stack import Stack, stack

__all__ = ["days", "servers", "site"]

Databases = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="module")
def servers(mariadb_database: Databases) -> Iterator[Stack]:
    with mariadb_database() as url, stack(url) as running:
        yield running


@pytest.fixture(scope="module")
def days() -> Iterator[datetime]:
    """Each is the first of ten days that are not in the real log and that no other test uses."""
    return (datetime(2023, 1, 2, tzinfo=UTC) + timedelta(days=11 * number) for number in itertools.count())


@pytest.fixture
def site(kafka: Kafka, servers: Stack, days: Iterator[datetime], tmp_path: Path) -> Iterator[KafkaSite]:
    topic = kafka.create_topic()
    yield KafkaSite(kafka, topic, servers, tmp_path, next(days))
    kafka.delete_topic(topic)
