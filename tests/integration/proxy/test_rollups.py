"""Roll-ups: the same counts without the records of compacted periods, whatever happens to these."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import grpc
import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy import journal, rollups, runs, tiers
from privacyplease.proxy.holdings import Held, Holdings, Place
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.predicate import predicate
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import (
    explain_service_pb2,
    explain_service_pb2_grpc,
    keys_service_pb2,
    verification_service_pb2,
)
from privacyplease.proxy.v1 import occupancy_service_pb2 as pb
from tests.integration.proxy.test_compaction import DAY, START, sessions, settled, stored
from tests.services.cells import refusal
from tests.services.proxy import PASSPHRASE, Proxied, instant, interval, proxying
from tests.services.storage import Served

WIFI = dataset.load()["wifi"]
WEEK = 7 * DAY
EVER = START - 90 * DAY, START + 90 * DAY
GROUPS = [pb.PlaceGroup(name="floor", places=["ap-1", "ap-2"])]


@pytest.fixture(autouse=True)
def _small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of a few thousand sessions in several runs, each with a roll-up; what was replaced goes at once."""
    for module in (tiers, runs):
        monkeypatch.setattr(module, "TARGET_BYTES", 4_096)
    monkeypatch.setattr(rollups, "LEAST_RUN_BYTES", 0)
    monkeypatch.setattr(journal, "KEPT_SECONDS", -1)


def week(seed: int = 1) -> pa.Table:
    return sessions(8_000, seed=seed, width=WEEK)


@pytest.fixture
def compacted(proxy: Proxied) -> Proxied:
    proxy.ingest("wifi", week())
    settled(proxy)
    return proxy


def held(proxy: Proxied) -> Held:
    return Holdings(trusted_store.open_store(proxy.home.trusted_store)).all("wifi", "place", WIFI.timeline)


def remove(proxy: Proxied, sqlite_url: str, places: list[Place]) -> None:
    """Has the server lose all cells of some places."""
    keyring = Keyring(trusted_store.open_store(proxy.home.trusted_store), proxy.home.master_key(PASSPHRASE))
    tags = predicate(WIFI, WIFI.indexes["place"], places, None, keyring)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection, connection:
        assert connection.executemany("DELETE FROM cells WHERE tag = ?", [(tag,) for tag in tags]).rowcount > 0


def count(proxy: Proxied, when: tuple[int, int] = EVER, **more: object) -> pb.CountResponse:
    return proxy.occupancy.Count(pb.CountRequest(interval=interval(*when), **more))  # type: ignore[arg-type]


def explain(proxy: Proxied, when: tuple[int, int] = EVER, **more: str) -> explain_service_pb2.ExplainResponse:
    stub = explain_service_pb2_grpc.ExplainServiceStub(proxy.channel)
    return stub.Explain(explain_service_pb2.ExplainRequest(interval=interval(*when), **more))


def by_place(proxy: Proxied, when: tuple[int, int] = EVER) -> dict[str, int]:
    request = pb.CountByPlaceRequest(interval=interval(*when), groups=GROUPS)
    return {
        place: people
        for page in proxy.occupancy.CountByPlace(request)
        for place, people in zip(page.places, page.distinct_devices, strict=True)
    }


def expected(of: pa.Table, when: tuple[int, int], *places: str) -> int:
    starts = of["association_time"].cast(pa.int64()).to_numpy()
    ends = starts + of["session_duration"].cast(pa.int64()).to_numpy()
    chosen = (starts <= when[1]) & (ends >= when[0])
    if places:
        chosen &= np.isin(of["ap_name"].to_numpy(), places)
    return len(np.unique(of["client_mac"].to_numpy()[chosen]))


def test_counts_are_those_of_the_records_over_any_time(compacted: Proxied) -> None:
    assert sum(run.rolled_up for run in held(compacted).runs) > 3
    late = sessions(300, seed=2, width=WEEK, devices=70)  # some of whom nobody has seen before
    compacted.ingest("wifi", late)
    everything = pa.concat_tables([week(), late])
    random = Random(3)
    ranges = [
        (begin, begin + random.randrange(2 * WEEK)) for begin in random.sample(range(START - DAY, START + WEEK), 12)
    ]
    for when in [EVER, (START + DAY, START + WEEK), *ranges]:
        answer = count(compacted, when)
        assert not answer.HasField("estimate")
        assert answer.distinct_devices == expected(everything, when)
        assert count(compacted, when, place="ap-3").distinct_devices == expected(everything, when, "ap-3")
        some = count(compacted, when, places=["ap-1", "ap-4", "nowhere"])
        assert some.distinct_devices == expected(everything, when, "ap-1", "ap-4")
        found = by_place(compacted, when)
        assert found.get("floor", 0) == expected(everything, when, "ap-1", "ap-2")
        assert found.get("ap-3", 0) == expected(everything, when, "ap-3")


def test_a_period_inside_the_interval_is_counted_without_its_records(
    compacted: Proxied, storage: Served, sqlite_url: str
) -> None:
    before = count(compacted).distinct_devices, by_place(compacted)
    remove(compacted, sqlite_url, [run.place for run in held(compacted).runs if run.rolled_up])
    with proxying(compacted.home.path, storage.address) as again:
        assert (count(again).distinct_devices, by_place(again)) == before
        assert fails(lambda: again.records("wifi", "place", *EVER)) == "ERROR_REASON_CELLS_MISSING"


def test_what_is_explained_is_what_a_count_asks_for(compacted: Proxied, storage: Served) -> None:
    late = sessions(300, seed=2, width=WEEK)
    compacted.ingest("wifi", late)
    when = START + DAY, START + WEEK
    holdings = Holdings(trusted_store.open_store(compacted.home.trusted_store))
    touched = holdings.overlapping("wifi", "place", WIFI.timeline, Interval(*when))
    inside, others = rollups.without(touched, Interval(*when))
    before = explain(compacted, when)
    assert before.answer == count(compacted, when).distinct_devices == expected(pa.concat_tables([week(), late]), when)
    assert (before.rollup_tags, before.rollup_cells) == (len(inside) * WIFI.indexes["place"].bins,) * 2
    assert before.tags == before.rollup_tags + len(others.places) * WIFI.indexes["place"].bins
    assert before.first_cells[0].rollup
    assert before.sketches_opened == before.sketches_kept == len(inside) * 5  # places
    assert 0 < before.records_kept <= before.records_opened < len(week())
    one = explain(compacted, when, place="ap-3")
    assert one.rollup_tags == len(inside)
    assert one.sketches_kept == len(inside) <= one.sketches_opened
    assert explain(compacted, when) == before  # whatever has been opened


def test_an_estimate_is_explained_as_one(compacted: Proxied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "LOG_SIZE", 5)
    exact, cells = explain(compacted), len(held(compacted).places) * WIFI.indexes["place"].bins
    assert exact.answer == expected(week(), EVER)
    assert exact.tags == exact.rollup_tags + cells  # roll-ups first, and then all records
    monkeypatch.setattr(rollups, "MOST_EXACT_BYTES", 0)
    assert explain(compacted).estimate == count(compacted).estimate


def test_a_roll_up_that_is_withheld_is_found(compacted: Proxied, storage: Served, sqlite_url: str) -> None:
    remove(compacted, sqlite_url, held(compacted).rollups[:1])
    with proxying(compacted.home.path, storage.address) as again:
        for ask in (count, by_place):
            assert fails(lambda ask=ask: ask(again)) == "ERROR_REASON_CELLS_MISSING"
        again.records("wifi", "place", *EVER)  # which needs none
    *_, last = compacted.verification.Verify(verification_service_pb2.VerifyRequest(dataset="wifi"))
    assert last.summary.missing == WIFI.indexes["place"].bins


def test_an_estimate_is_given_where_exactness_costs_much_and_nobody_insists(
    compacted: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sketches of 32 hashes, for 50 devices; the bounds are checked with true sizes in the unit test."""
    monkeypatch.setattr(rollups, "LOG_SIZE", 5)
    exact = pb.CountResponse(distinct_devices=expected(week(), EVER))
    places = by_place(compacted)
    assert count(compacted) == exact  # a few cells are soon read
    monkeypatch.setattr(rollups, "MOST_EXACT_BYTES", 0)
    estimate = count(compacted)
    assert estimate.HasField("estimate")
    assert estimate.estimate.at_least <= estimate.distinct_devices <= estimate.estimate.at_most
    assert count(compacted, exact=True) == exact
    assert by_place(compacted) == places


def test_compacting_again_replaces_roll_ups_and_leaves_none_behind(
    compacted: Proxied, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = week(seed=2)
    compacted.ingest("wifi", late)
    settled(compacted)
    place, subject = (
        Holdings(trusted_store.open_store(compacted.home.trusted_store)).all("wifi", name, WIFI.timeline)
        for name in ("place", "subject")
    )
    bins = {name: index.bins for name, index in WIFI.indexes.items()}
    assert place.rollups
    assert subject.rollups == []
    cells = len(place.runs + place.rollups) * bins["place"] + len(subject.runs) * bins["subject"]
    assert len(stored(sqlite_url)) == cells
    assert count(compacted).distinct_devices == expected(pa.concat_tables([week(), late]), EVER)


def test_all_roll_ups_of_a_run_look_alike(compacted: Proxied, sqlite_url: str) -> None:
    keyring = Keyring(trusted_store.open_store(compacted.home.trusted_store), compacted.home.master_key(PASSPHRASE))
    sizes = dict(stored(sqlite_url))
    for place in held(compacted).rollups:
        tags = predicate(WIFI, WIFI.indexes["place"], [place], None, keyring)
        assert len({sizes[tag] for tag in tags}) == 1


def test_destroying_a_period_leaves_no_roll_up_of_it(compacted: Proxied, sqlite_url: str) -> None:
    assert count(compacted).distinct_devices  # what was opened is remembered
    request = keys_service_pb2.DestroyEpochsRequest(dataset="wifi", before=instant(START + 90 * DAY))
    compacted.keys.DestroyEpochs(request)
    assert stored(sqlite_url) == []
    assert count(compacted) == pb.CountResponse()


def test_roll_ups_count_after_the_keys_were_renewed(compacted: Proxied, storage: Served) -> None:
    before = count(compacted), by_place(compacted)
    compacted.keys.RotateEpoch(keys_service_pb2.RotateEpochRequest(dataset="wifi", containing=instant(START + DAY)))
    assert (count(compacted), by_place(compacted)) == before
    settled(compacted)
    assert held(compacted).rollups
    with proxying(compacted.home.path, storage.address) as again:
        assert (count(again), by_place(again)) == before


def test_an_exported_keyring_counts_the_same_without_them(compacted: Proxied, storage: Served, tmp_path: Path) -> None:
    request = keys_service_pb2.ExportKeyringRequest(interval=interval(*EVER), passphrase="a partner's passphrase")
    file = tmp_path / "wifi.keyring"
    file.write_bytes(b"".join(part.keyring for part in compacted.keys.ExportKeyring(request)))
    with proxying(tmp_path / "partner", storage.address, passphrase="a partner's passphrase", keyring=file) as partner:
        assert (count(partner), by_place(partner)) == (count(compacted), by_place(compacted))


def test_a_store_of_an_earlier_version_gets_roll_ups_with_the_next_compaction(
    compacted: Proxied, storage: Served
) -> None:
    before = count(compacted)
    with closing(sqlite3.connect(compacted.home.trusted_store)) as connection, connection:
        connection.execute("ALTER TABLE runs DROP COLUMN rolled_up")
    with proxying(compacted.home.path, storage.address) as again:
        assert held(again).rollups == []
        assert count(again) == before


def fails(ask: Callable[[], object]) -> str:
    """The reason."""
    with pytest.raises(grpc.RpcError) as refused:
        ask()
    return refusal(refused.value)[1].reason
