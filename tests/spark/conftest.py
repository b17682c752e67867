"""Sites for tests of Spark. `make spark-test` runs them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.integration.ingest.kafka_site import KafkaSite
from tests.services import spark_environment
from tests.services.kafka import Kafka
from tests.services.spark_job import SparkJob
from tests.services.stack import Stack, stack

Databases = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session", autouse=True)
def spark() -> None:
    """Spark's environment."""
    try:
        spark_environment.python()
        spark_environment.connector()
    except spark_environment.SparkUnavailableError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


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


@pytest.fixture
def start(site: KafkaSite) -> Iterator[Callable[..., SparkJob]]:
    """Starts drivers, and ends those that still run afterwards."""
    with ExitStack() as running:

        def started(*flags: str, **named: str) -> SparkJob:
            endpoints = site.servers.proxy, site.kafka.bootstrap, site.topic
            job = SparkJob(site.folder, *endpoints, *flags, certificates=site.servers.certificates, **named)
            return running.enter_context(job)

        yield started
