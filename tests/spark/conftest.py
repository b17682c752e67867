"""Sites for tests of Spark. `make spark-test` runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.ingest.site_fixtures import days, servers, site  # noqa: F401 (fixtures)
from tests.services.spark_job import SparkJob


@pytest.fixture(autouse=True)
def environment(spark: None) -> None:
    """Spark's environment, for each test."""


@pytest.fixture
def start(site: KafkaSite) -> Iterator[Callable[..., SparkJob]]:  # noqa: F811 (the fixture)
    """Starts drivers, and ends those that still run afterwards."""
    with ExitStack() as running:

        def started(*flags: str, **named: str) -> SparkJob:
            endpoints = site.servers.proxy, site.kafka.bootstrap, site.topic
            job = SparkJob(site.folder, *endpoints, *flags, certificates=site.servers.certificates, **named)
            return running.enter_context(job)

        yield started
