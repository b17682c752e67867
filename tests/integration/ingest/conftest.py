"""Sites for tests of the consumer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.ingest.site_fixtures import days, servers, site  # noqa: F401 (fixtures)
from tests.services.consumer import ConsumerProcess


@pytest.fixture
def start(site: KafkaSite) -> Iterator[Callable[..., ConsumerProcess]]:  # noqa: F811 (the fixture)
    """Starts consumers, and stops those that still run afterwards."""
    with ExitStack() as running:
        yield lambda *flags, **named: running.enter_context(site.consumer(*flags, **named))
