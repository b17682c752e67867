"""Sites for tests of the consumer, and a client without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from privacyplease.client import Client
from tests.integration.ingest.kafka_site import KafkaSite
from tests.integration.ingest.site_fixtures import days, servers, site  # noqa: F401 (fixtures)
from tests.services.consumer import ConsumerProcess
from tests.services.proxy import proxying
from tests.services.storage import serving


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of a proxy of its own over SQLite."""
    with (
        serving(f"sqlite:///{tmp_path / 'cells.db'}") as storage,
        proxying(tmp_path / "home", storage.address) as proxy,
        Client(proxy.address, insecure=True) as client,
    ):
        yield client


@pytest.fixture
def start(site: KafkaSite) -> Iterator[Callable[..., ConsumerProcess]]:  # noqa: F811 (the fixture)
    """Starts consumers, and stops those that still run afterwards."""
    with ExitStack() as running:
        yield lambda *flags, **named: running.enter_context(site.consumer(*flags, **named))
