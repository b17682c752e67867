"""Compaction: the same answers from fewer cells that look alike, whatever else goes on."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy import compaction, journal, runs, tiers
from privacyplease.proxy.cells import LEAST_PAGE_BYTES, OVERHEAD_BYTES, coarse
from privacyplease.proxy.compactor import Compactor
from privacyplease.proxy.holdings import Holdings
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.records import dataset
from privacyplease.proxy.tags import RUN_LEVEL, tags
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.v1 import admin_service_pb2
from tests.services.patience import eventually
from tests.services.proxy import PASSPHRASE, Proxied, proxying
from tests.services.storage import Served, serving

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_727_740_800_000  # 2024-10-01, long over
BINS = {"subject": 8, "place": 4}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was replaced is removed by the next call, as minutes later."""
    monkeypatch.setattr(journal, "KEPT_SECONDS", -1)


def sessions(
    rows: int, *, seed: int = 1, start: int = START, width: int = DAY, devices: int = 50, places: int = 5
) -> pa.Table:
    """Sessions of a few devices, some of them reported again and longer."""
    random = Random(seed)
    return pa.table(
        {
            "client_mac": [random.randrange(devices) for _ in range(rows)],
            "ap_name": [f"ap-{random.randrange(places)}" for _ in range(rows)],
            "association_time": pa.array(
                [start + random.randrange(0, width, MINUTE) for _ in range(rows)], pa.timestamp("ms", tz="UTC")
            ),
            "session_duration": pa.array(
                [random.choice([0, MINUTE, HOUR, 3 * HOUR, 30 * HOUR]) for _ in range(rows)], pa.duration("ms")
            ),
        }
    )


def everything(proxy: Proxied) -> list[pa.Table]:
    return [proxy.records("wifi", index, 0, 253_402_300_799_999) for index in BINS]


def stored(storage_url: str) -> list[tuple[bytes, int]]:
    """Tag and size of every cell in the order in which they were stored, read past the server."""
    with closing(sqlite3.connect(storage_url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("SELECT tag, sealed_bytes FROM cells ORDER BY rowid").fetchall()


def settled(proxy: Proxied, **flags: bool) -> None:
    """Compacts, and removes what was replaced."""
    proxy.compact(**flags)
    proxy.compact(**flags)


def test_answers_stay_the_same_and_cells_become_few(proxy: Proxied, sqlite_url: str, at_once: None) -> None:
    for seed in range(20):
        proxy.ingest("wifi", sessions(100, seed=seed))
    before, many = everything(proxy), len(stored(sqlite_url))
    settled(proxy)
    assert len(stored(sqlite_url)) == sum(BINS.values()) < many / 20
    assert everything(proxy) == before
    assert proxy.compact() == []  # nothing is left to do


def test_late_records_are_found_at_once_and_taken_in_by_the_next_compaction(
    proxy: Proxied, sqlite_url: str, at_once: None
) -> None:
    first, late = sessions(500), sessions(300, seed=2)
    proxy.ingest("wifi", first)
    settled(proxy)
    proxy.ingest("wifi", late, first)
    found = everything(proxy)
    with_late = Counter(map(str, found[1].to_pylist()))
    assert len(with_late) == len(found[1]) > 500
    settled(proxy)
    assert everything(proxy) == found
    assert len(stored(sqlite_url)) == sum(BINS.values())


def test_a_log_that_is_sent_twice_is_stored_once(proxy: Proxied, sqlite_url: str, at_once: None) -> None:
    proxy.ingest("wifi", sessions(2_000))
    settled(proxy)
    once = sum(size for _, size in stored(sqlite_url))
    proxy.ingest("wifi", sessions(2_000))
    settled(proxy)
    assert sum(size for _, size in stored(sqlite_url)) == once


def test_a_record_a_second_for_a_day_ends_as_a_few_cells(proxy: Proxied, sqlite_url: str, at_once: None) -> None:
    """Some minutes of it arrive record by record here, the rest by the quarter hour."""
    day = sessions(86_400, devices=500).sort_by("association_time")
    singly = [day.slice(number, 1) for number in range(300)]
    proxy.ingest("wifi", *singly, *(day.slice(at, 900) for at in range(300, len(day), 900)))
    before, many = everything(proxy), len(stored(sqlite_url))
    assert many > 2_000
    settled(proxy)
    assert len(stored(sqlite_url)) <= 60
    assert everything(proxy) == before


def test_buckets_that_have_not_closed_are_left_alone(proxy: Proxied) -> None:
    now = int(time.time() * 1_000)
    proxy.ingest("wifi", sessions(10, start=now - HOUR, width=2 * MINUTE))
    assert proxy.compact() == []
    assert proxy.compact(include_open=True)
    assert proxy.compact(include_open=True) == []


def test_every_bin_of_a_run_has_as_many_cells_of_the_same_size(
    proxy: Proxied, sqlite_url: str, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One place has nearly all sessions, and some bins have none."""
    for module in (tiers, runs):
        monkeypatch.setattr(module, "TARGET_BYTES", 2_048)
    crowded = sessions(3_000, devices=3, places=1)
    proxy.ingest("wifi", crowded, sessions(30, seed=2), sessions(1, seed=3, start=START + 90 * DAY))
    settled(proxy)
    sizes = defaultdict[bytes, list[int]](list)
    for tag, size in stored(sqlite_url):
        sizes[tag].append(size)
    grids = {run: [sizes.pop(tag) for tag in tags] for run, tags in tags_of_runs(proxy.home)}
    assert sizes == {}, "expected no cell outside the runs"
    assert {len(grid) for grid in grids.values()} == set(BINS.values())
    for grid in grids.values():
        assert len(set(map(tuple, grid))) == 1, "expected every bin to have as many cells of the same size"
        page = grid[0][0] - OVERHEAD_BYTES
        assert page == coarse(page) >= LEAST_PAGE_BYTES
    assert len(grids) > 4


def tags_of_runs(home: Home) -> Iterator[tuple[tuple[str, int], list[bytes]]]:
    """Index and number of every run, and its tags, one for each bin, worked out anew."""
    store, wifi = trusted_store.open_store(home.trusted_store), dataset.load()["wifi"]
    keyring = Keyring(store, home.master_key(PASSPHRASE))
    for name, bins in BINS.items():
        for run in Holdings(store).all("wifi", name, wifi.timeline).runs:
            columns = np.full(bins, RUN_LEVEL), np.full(bins, run.number), np.arange(bins)
            yield (
                (name, run.number),
                [tag.tobytes() for tag in tags(keyring.keys("wifi", run.epoch, name).tag, *columns)],
            )


def test_each_tag_of_a_run_has_one_cell(proxy: Proxied, sqlite_url: str, at_once: None) -> None:
    proxy.ingest("wifi", sessions(1_000))
    settled(proxy)
    assert set(Counter(tag for tag, _ in stored(sqlite_url)).values()) == {1}


def test_without_volume_hiding_each_cell_is_as_large_as_it_must_be(
    storage: Served, tmp_path: Path, sqlite_url: str, at_once: None
) -> None:
    datasets = tmp_path / "home" / "datasets"
    datasets.mkdir(parents=True)
    shipped = Path(tiers.__file__).parent / "records" / "datasets" / "wifi.toml"
    (datasets / "wifi.toml").write_text(shipped.read_text().replace("[columns]", "hide_volume = false\n[columns]", 1))
    with proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", sessions(2_000, devices=3, places=1))
        before = everything(proxy)
        settled(proxy)
        cells = stored(sqlite_url)
        assert len(cells) < sum(BINS.values())
        assert len({size for _, size in cells}) > 1
        assert everything(proxy) == before


def test_questions_and_ingest_go_on_while_everything_is_compacted_again_and_again(
    proxy: Proxied, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "KEPT_SECONDS", 2.0)
    sent: set[int] = set()
    over = threading.Event()
    failed: list[BaseException] = []

    def ingest() -> None:
        for number in range(150):
            one = sessions(1, seed=number, start=START + number % 7 * HOUR, width=MINUTE)
            one = one.set_column(0, "client_mac", [pa.array([number])])
            proxy.ingest("wifi", one)
            sent.add(number)
        over.set()

    def compact() -> None:
        while not over.is_set():
            proxy.compact(include_open=True)

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)
            over.set()

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (ingest, compact, compact)]
    for thread in threads:
        thread.start()
    while not over.is_set():
        for index in BINS:
            acknowledged = set(sent)
            found = proxy.records("wifi", index, START, START + DAY)["client_mac"].to_pylist()
            assert {int(mac.replace(":", ""), 16) for mac in found} >= acknowledged
            assert len(found) == len(set(found))
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(everything(proxy)[0]) == 150


def test_two_proxies_over_one_store_compact_without_harm(
    storage: Served, tmp_path: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxying(tmp_path / "home", storage.address) as one, proxying(tmp_path / "home", storage.address) as other:
        one.ingest("wifi", sessions(300))
        before = everything(one)
        threads = [threading.Thread(target=settled, args=(proxy,)) for proxy in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert everything(one) == everything(other) == before


def test_a_compactor_whose_claim_was_taken_over_changes_nothing(
    storage: Served, tmp_path: Path, at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second takes over while the first has read everything and is about to write."""
    with proxying(tmp_path / "home", storage.address) as one, proxying(tmp_path / "home", storage.address) as other:
        one.ingest("wifi", sessions(300))
        before = everything(one)
        paginate, nested = runs.paginate, []

        def interrupted(*given: object, **named: object) -> object:
            pages = paginate(*given, **named)  # type: ignore[arg-type]
            if not nested:
                nested.append(True)
                monkeypatch.setattr(compaction, "CLAIMED_MS", 10 * MINUTE)
                other.compact()
            return pages

        monkeypatch.setattr(compaction, "CLAIMED_MS", -1)
        monkeypatch.setattr(runs, "paginate", interrupted)
        one.compact()
        assert nested
        assert everything(one) == everything(other) == before
        settled(one)
        assert everything(one) == before


def test_what_a_lying_server_withholds_is_not_compacted_away(tmp_path: Path, sqlite_url: str, at_once: None) -> None:
    with serving(sqlite_url) as storage, proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", sessions(300))
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("DELETE FROM cells WHERE rowid = 1")
        with pytest.raises(Exception, match="withheld"):
            proxy.compact()
        with pytest.raises(Exception, match="withheld"):
            everything(proxy)


def test_a_column_that_the_definition_has_dropped_comes_back_with_it(
    storage: Served, tmp_path: Path, at_once: None
) -> None:
    home, definition = tmp_path / "home", tmp_path / "home" / "datasets" / "wifi.toml"
    definition.parent.mkdir(parents=True)
    shipped = (Path(tiers.__file__).parent / "records" / "datasets" / "wifi.toml").read_text()
    definition.write_text(shipped)
    with proxying(home, storage.address) as proxy:
        proxy.ingest("wifi", sessions(50).append_column("vendor", [pa.array(["Acme"] * 50)]))
        before = proxy.records("wifi", "subject", START, START + DAY)
    definition.write_text(shipped.replace('vendor = "string"\n', ""))
    with proxying(home, storage.address) as proxy:
        assert "vendor" not in proxy.records("wifi", "subject", START, START + DAY).column_names
        proxy.ingest("wifi", sessions(50, seed=2, devices=1, start=START + 2 * DAY))
        settled(proxy)
    definition.write_text(shipped)
    with proxying(home, storage.address) as proxy:
        assert proxy.records("wifi", "subject", START, START + DAY).equals(before)


def test_the_background_compacts_what_is_due_and_the_status_tells_of_it(
    storage: Served, tmp_path: Path, at_once: None, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    monkeypatch.setattr(Compactor, "PERIOD_SECONDS", 0.1)
    monkeypatch.setattr(tiers, "QUIET", -1)
    with proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", sessions(300))
        before = everything(proxy)
        assert eventually(lambda: len(stored(sqlite_url)) == sum(BINS.values()), 60)
        assert everything(proxy) == before
        status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).compaction
        assert (status.open_buckets, status.open_cells, status.failure) == (0, 0, "")
        assert status.HasField("last_round")
