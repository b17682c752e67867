"""A capacity plan, compared with a store that is built and compacted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import NamedTuple

import pytest

from privacyplease.cli.capacity import SPANS_DAYS, CapacityPlan, Deployment, plan_capacity
from privacyplease.client import Client
from privacyplease.ingest.simulate import simulate
from tests.services.proxy import proxying
from tests.services.storage import serving

DAYS = 8
FIRST = datetime(2023, 4, 24, tzinfo=UTC)  # a Monday, and an epoch of 30 days has begun
SPANS = ("1 h", "1 d", "7 d")
DEVICE = "02:00:00:00:00:01"


class Built(NamedTuple):
    """A plan, how many sessions there are, and a client of the proxy that has them."""

    plan: CapacityPlan
    sessions: int
    client: Client


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("planned")
    # Enough devices that a week has more segments than a count needs to use roll-ups.
    tables = list(simulate(devices=4_000, places=80, days=DAYS, seed=5, start=FIRST.date()))
    sessions = sum(map(len, tables))
    with (
        serving(f"sqlite:///{folder / 'cells.db'}") as storage,
        proxying(folder / "home", storage.address) as proxy,
        Client(proxy.address, insecure=True) as client,
    ):
        assert sum(ack.accepted for ack in client.ingest("wifi", tables)) == sessions
        while sum(step.merged_cells for step in proxy.compact(include_open=True)):
            pass
        yield Built(plan_capacity(Deployment(records_per_day=sessions // DAYS)), sessions, client)


def test_stored_bytes_are_as_planned(built: Built) -> None:
    everything = FIRST - timedelta(days=1), FIRST + timedelta(days=DAYS + 1)
    cores = built.client.explain(*everything, device=DEVICE, purpose="test")
    segment = built.plan.segment
    assert cores.cells == pytest.approx(built.sessions / segment.records, abs=1.5)
    assert cores.bytes == pytest.approx(built.sessions / segment.records * segment.core_bytes, rel=0.25)


@pytest.mark.parametrize("span", SPANS)
def test_a_question_fetches_as_planned(built: Built, span: str) -> None:
    sizes = [built.client.explain(*when, device=DEVICE, purpose="test").bytes for when in intervals(span)]
    assert mean(sizes) == pytest.approx(built.plan.fetched[span].bytes, rel=0.6)


@pytest.mark.parametrize("span", SPANS)
def test_a_count_fetches_as_planned(built: Built, span: str) -> None:
    sizes = [built.client.explain(*when).bytes for when in intervals(span)]
    assert mean(sizes) == pytest.approx(built.plan.fetched[span].counted_bytes, rel=0.6)


def intervals(span: str) -> list[tuple[datetime, datetime]]:
    """Intervals that start at noon on different days."""
    length = timedelta(days=SPANS_DAYS[span])
    noons = [FIRST + timedelta(days=day, hours=12) for day in range(DAYS)]
    return [(noon, noon + length) for noon in noons if noon + length < FIRST + timedelta(days=DAYS)]
