"""What a plan promises, against a store that is really built by it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from privacyplease.cli.planning import DATABASE_FACTOR, PLAINTEXT_BYTES, Deployment, Plan, plan
from privacyplease.ingest.simulate import simulate
from privacyplease.proxy import dataset, trusted_store
from privacyplease.proxy.holdings import Holdings, Run
from privacyplease.proxy.home import Home
from privacyplease.proxy.timeline import Interval
from privacyplease.proxy.v1 import compaction_service_pb2 as pb
from tests.services.proxy import proxying
from tests.services.storage import serving

DAY = 86_400_000
DAYS = 20
FIRST = date(2023, 4, 23)  # an epoch of 30 days begins
SIZE = {"devices": 400, "places": 60}


class Built(NamedTuple):
    """A plan, how many sessions there are, and the runs of each index."""

    plan: Plan
    sessions: int
    runs: dict[str, list[Run]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("planned")
    tables = list(simulate(**SIZE, days=DAYS, seed=5, start=FIRST))
    sessions = sum(map(len, tables))
    planned = plan(Deployment(**SIZE, rows_per_day=sessions // DAYS))
    home = folder / "home"
    Home(home).datasets.mkdir(parents=True)
    (Home(home).datasets / "wifi.toml").write_text(definition(planned))
    with serving(f"sqlite:///{folder / 'cells.db'}") as storage, proxying(home, storage.address) as proxy:
        acknowledged = proxy.ingest("wifi", *tables)
        assert sum(each.accepted for each in acknowledged) == sessions
        while sum(step.merged_cells for step in proxy.compaction.Compact(pb.CompactRequest(include_open=True))):
            pass
    wifi = dataset.load(Home(home).datasets)["wifi"]
    holdings = Holdings(trusted_store.open_store(Home(home).trusted_store))
    held = {name: holdings.all("wifi", name, wifi.timeline) for name in ("subject", "place")}
    assert not any(each.buckets for each in held.values())
    return Built(planned, sessions, {name: each.runs for name, each in held.items()})


def definition(planned: Plan) -> str:
    """The wifi data set with the plan's bins and base width."""
    text = (Path(dataset.__file__).parent / "datasets" / "wifi.toml").read_text()
    text = text.replace("bins = 8", f"bins = {planned.subject.bins}").replace(
        "bins = 4", f"bins = {planned.place.bins}"
    )
    return text.replace('base_width = "1h"', f'base_width = "{planned.base_width}"')


def test_what_is_stored_is_what_was_planned(built: Built) -> None:
    assert built.plan.hide_volume
    bins = {"subject": built.plan.subject.bins, "place": built.plan.place.bins}
    stored = sum(run.size * bins[name] for name, runs in built.runs.items() for run in runs)
    planned = built.plan.storage_hidden / DATABASE_FACTOR * PLAINTEXT_BYTES * built.sessions
    assert stored == pytest.approx(planned, rel=0.25)


@pytest.mark.parametrize("name", ["subject", "place"])
@pytest.mark.parametrize(("span", "days"), [("1 h", 1 / 24), ("1 d", 1.0)])
def test_a_question_fetches_what_was_planned(built: Built, name: str, span: str, days: float) -> None:
    begins = np.array([run.first for run in built.runs[name]]).min() + np.arange(2, DAYS - 2) * DAY
    asked = [Interval(int(begin), int(begin + days * DAY)) for begin in begins]
    fetched = [sum(run.size for run in built.runs[name] if touches(run, interval)) for interval in asked]
    index = built.plan.subject if name == "subject" else built.plan.place
    # Cells are from half as large as they aim at to a quarter larger, as the keys of the day put places into bins.
    assert float(np.mean(fetched)) == pytest.approx(index.fetched_bytes[span], rel=0.6)


def touches(run: Run, interval: Interval) -> bool:
    return run.first <= interval.end and run.reach >= interval.start
