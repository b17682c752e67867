"""What a plan promises, against a store that is really built by it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from privacyplease.cli import planning
from privacyplease.cli.planning import DATABASE_FACTOR, PLAINTEXT_BYTES, Deployment, Plan, plan
from privacyplease.ingest.simulate import simulate
from privacyplease.proxy import runs, tiers
from privacyplease.proxy.holdings import Held, Holdings, Run
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.rollups import without
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import compaction_service_pb2 as pb
from tests.services.proxy import PASSPHRASE, proxying
from tests.services.storage import serving

DAY = 86_400_000
DAYS = 20
FIRST = date(2023, 4, 23)  # an epoch of 30 days begins
SIZE = {"devices": 400, "places": 60}
SPANS = {"1 h": 1 / 24, "1 d": 1.0, "10 d": 10.0}


class Built(NamedTuple):
    """A plan, how many sessions there are, the runs of each index, and the bytes of a bin of each run's roll-up."""

    plan: Plan
    sessions: int
    runs: dict[str, list[Run]]
    rollups: dict[int, int]


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Runs of a few days, so that a count over ten has some inside."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (planning, tiers, runs):
            patch.setattr(module, "TARGET_BYTES", 128 * 1024)
        patch.setattr(planning, "RANGES_DAYS", SPANS)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, small: None) -> Built:
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
    found = {name: each.runs for name, each in held.items()}
    return Built(planned, sessions, found, rolled_up(found["place"], home, folder / "cells.db"))


def rolled_up(held: list[Run], home: Path, cells: Path) -> dict[int, int]:
    """What a bin of each run's roll-up takes in the server's database, in bytes."""
    wifi = dataset.load(Home(home).datasets)["wifi"]
    index = wifi.index("place")
    keyring = Keyring(trusted_store.open_store(Home(home).trusted_store), Home(home).master_key(PASSPHRASE))
    with closing(sqlite3.connect(cells)) as database:
        stored = dict(database.execute("SELECT tag, length(sealed) FROM cells"))
    tags = {run.number: predicate(wifi, index, [run.rollup], None, keyring) for run in held if run.rolled_up}
    return {number: sum(stored[tag] for tag in of) // index.bins for number, of in tags.items()}


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
    stored = sum(run.size * bins[name] for name, held in built.runs.items() for run in held)
    stored += sum(built.rollups.values()) * bins["place"]
    planned = built.plan.storage_hidden / DATABASE_FACTOR * PLAINTEXT_BYTES * built.sessions
    assert stored == pytest.approx(planned, rel=0.25)


def test_roll_ups_take_what_was_planned(built: Built) -> None:
    full = [size for run in built.runs["place"] if (size := built.rollups.get(run.number))]
    assert len(full) > len(built.runs["place"]) / 2
    assert float(np.mean(full)) == pytest.approx(built.plan.place.rollup_bytes, rel=0.3)


@pytest.mark.parametrize("name", ["subject", "place"])
@pytest.mark.parametrize("span", SPANS)
def test_a_question_fetches_what_was_planned(built: Built, name: str, span: str) -> None:
    fetched = [sum(run.size for run in built.runs[name] if touches(run, when)) for when in asked(built, name, span)]
    index = built.plan.subject if name == "subject" else built.plan.place
    # Cells are from half as large as they aim at to a quarter larger, as the keys of the day put places into bins.
    assert float(np.mean(fetched)) == pytest.approx(index.fetched_bytes[span], rel=0.6)


@pytest.mark.parametrize("span", SPANS)
def test_a_count_fetches_what_was_planned(built: Built, span: str) -> None:
    fetched = []
    for when in asked(built, "place", span):
        inside, held = without(Held(0, 0, [], built.runs["place"]), when)
        read = sum(run.size for run in held.runs if touches(run, when))
        fetched.append(read + sum(built.rollups[run.number] for run in inside))
    assert float(np.mean(fetched)) == pytest.approx(built.plan.counted_bytes[span], rel=0.6)


def asked(built: Built, name: str, span: str) -> list[Interval]:
    """Intervals that begin on different days."""
    length = round(SPANS[span] * DAY)
    first = min(run.first for run in built.runs[name])
    begins = range(first + 2 * DAY, first + (DAYS - 1) * DAY - length, DAY)
    return [Interval(begin, begin + length) for begin in begins]


def touches(run: Run, interval: Interval) -> bool:
    return run.first <= interval.end and run.reach >= interval.start
