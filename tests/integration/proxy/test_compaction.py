"""Compaction: the same answers from fewer cells, whatever runs at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from random import Random

import grpc
import pyarrow as pa
import pytest

from privacyplease.proxy.compaction import garbage_collection, leases, plan, rewriting
from privacyplease.proxy.compaction.background import BackgroundCompaction
from privacyplease.proxy.compaction.rewriting import Rewriter
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.records import dataset
from privacyplease.proxy.v1 import admin_service_pb2
from tests.services.cells import refusal
from tests.services.home_inspector import inspecting
from tests.services.lying_server import LIES, lying
from tests.services.polling import eventually
from tests.services.proxy import Proxied, proxying
from tests.services.storage import Served, serving
from tests.services.tampering import Database

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_727_740_800_000  # 2024-10-01, long over
EVER = 0, 253_402_300_799_999
# What sessions of a day end as: those that last longer than a day lie in a segment of their own.
SEGMENTS = 2


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaced segments are removed by the next call, as if minutes had passed."""
    monkeypatch.setattr(garbage_collection, "KEPT_MS", -1)


@pytest.fixture
def database(sqlite_url: str) -> Database:
    """The database behind the storage server."""
    return Database(sqlite_url)


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


def everything(proxy: Proxied) -> pa.Table:
    """All records, sorted."""
    found = proxy.records("wifi", *EVER)
    return found.sort_by([(name, "ascending") for name in ("association_time", "client_mac", "ap_name")])


def compact(proxy: Proxied) -> None:
    """Compacts everything, including the last minutes."""
    proxy.compact(include_open=True)


def settled(proxy: Proxied) -> None:
    """Compacts everything and removes what was replaced."""
    compact(proxy)
    compact(proxy)


def records(proxy: Proxied) -> int:
    """How many records the live segments have."""
    with inspecting(proxy.home) as inspector:
        return sum(row.summary.records for row in inspector.rows(SegmentState.LIVE))


def require_settled(proxy: Proxied, database: Database, segments: int = SEGMENTS) -> None:
    """There are exactly this many segments, all settled, and the server has only their cells."""
    with inspecting(proxy.home) as inspector:
        rows = inspector.rows()
        assert {(row.state, row.settled) for row in rows} == {(SegmentState.LIVE, True)}
        assert len(rows) <= segments
        assert inspector.strays(database) == set()


def test_compaction_keeps_answers_and_leaves_few_cells(proxy: Proxied, database: Database, at_once: None) -> None:
    for seed in range(20):
        proxy.ingest("wifi", sessions(100, seed=seed))
    before, many = everything(proxy), len(database.rows())
    assert many >= 40
    settled(proxy)
    require_settled(proxy, database)
    assert everything(proxy) == before
    assert proxy.compact(include_open=True) == []  # nothing is left to do


def test_late_records_are_found_at_once_and_merged_by_the_next_compaction(
    proxy: Proxied, database: Database, at_once: None
) -> None:
    first, late = sessions(500), sessions(300, seed=2)
    proxy.ingest("wifi", first)
    settled(proxy)
    early = everything(proxy)
    proxy.ingest("wifi", late, first)
    found = everything(proxy)
    assert len(found) > len(early)
    settled(proxy)
    assert everything(proxy) == found
    require_settled(proxy, database)


@pytest.mark.parametrize("times", [2, 3])
def test_a_log_that_is_sent_again_is_stored_once(proxy: Proxied, database: Database, at_once: None, times: int) -> None:
    proxy.ingest("wifi", sessions(2_000))
    settled(proxy)
    once, size = records(proxy), sum(row.sealed_bytes for row in database.rows())
    for _ in range(times - 1):
        proxy.ingest("wifi", sessions(2_000))
        settled(proxy)
    assert records(proxy) == once == len(everything(proxy))
    with inspecting(proxy.home) as inspector:
        heads = 1_024 * len(inspector.heads())
    assert sum(row.sealed_bytes for row in database.rows()) < size + heads


def test_a_record_a_second_for_a_day_ends_as_a_few_cells(proxy: Proxied, database: Database, at_once: None) -> None:
    """A few minutes of it arrive record by record, the rest every quarter of an hour."""
    day = sessions(86_400, devices=500).sort_by("association_time")
    singly = [day.slice(number, 1) for number in range(300)]
    proxy.ingest("wifi", *singly, *(day.slice(at, 900) for at in range(300, len(day), 900)))
    before, many = everything(proxy), len(database.rows())
    assert many > 100
    settled(proxy)
    require_settled(proxy, database)
    assert everything(proxy) == before


def test_the_last_minutes_are_compacted_only_on_request(proxy: Proxied) -> None:
    proxy.ingest("wifi", sessions(10))
    assert proxy.compact() == []
    assert proxy.compact(include_open=True)
    assert proxy.compact(include_open=True) == []


def test_replaced_cells_stay_for_questions_that_may_ask_for_them(proxy: Proxied, database: Database) -> None:
    proxy.ingest("wifi", sessions(100))
    before = {row.tag for row in database.rows()}
    settled(proxy)
    assert before <= {row.tag for row in database.rows()}


def test_questions_and_ingest_are_correct_during_repeated_compaction(
    storage: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(garbage_collection, "KEPT_MS", 2_000)
    monkeypatch.setattr(plan, "FULL_RECORDS", 40)
    sent: set[int] = set()
    over = threading.Event()
    failed: list[BaseException] = []

    def ingest() -> None:
        for number in range(100):
            one = sessions(1, seed=number, start=START + number % 7 * HOUR, width=MINUTE)
            one = one.set_column(0, "client_mac", [pa.array([number])])
            proxy.ingest("wifi", one)
            sent.add(number)
        over.set()

    def keep_compacting() -> None:
        while not over.is_set():
            compact(proxy)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)
        finally:
            if work is ingest or failed:
                over.set()

    with proxying(tmp_path / "home", storage.address, cache_bytes=0) as proxy:
        threads = [threading.Thread(target=guarded, args=(work,)) for work in (ingest, keep_compacting)]
        for thread in threads:
            thread.start()
        while not over.is_set():
            acknowledged = set(sent)
            found = proxy.records("wifi", START, START + DAY)["client_mac"].to_pylist()
            assert {int(mac.replace(":", ""), 16) for mac in found} >= acknowledged
            assert len(found) == len(set(found))
        for thread in threads:
            thread.join()
        assert failed == []
        assert len(everything(proxy)) == 100


def test_two_proxies_over_one_store_can_compact_at_once(
    storage: Served, tmp_path: Path, database: Database, at_once: None
) -> None:
    with proxying(tmp_path / "home", storage.address) as one, proxying(tmp_path / "home", storage.address) as other:
        for seed in range(8):
            one.ingest("wifi", sessions(40, seed=seed))
        before = everything(one)
        threads = [threading.Thread(target=settled, args=(proxy,)) for proxy in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        settled(other)
        assert everything(one) == everything(other) == before
        require_settled(one, database)


@pytest.mark.parametrize(("owner", "step"), [(rewriting, "cut"), (Rewriter, "_switch")])
def test_a_compactor_whose_lease_was_taken_over_changes_nothing(
    owner: object,
    step: str,
    storage: Served,
    tmp_path: Path,
    database: Database,
    at_once: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second takes over after the first has read everything, or written everything and is about to switch."""
    with proxying(tmp_path / "home", storage.address) as one, proxying(tmp_path / "home", storage.address) as other:
        one.ingest("wifi", sessions(300))
        before = everything(one)
        nested: list[bool] = []
        whole = getattr(owner, step)

        def interrupted(*given: object, **named: object) -> object:
            if not nested:
                nested.append(True)
                monkeypatch.setattr(leases, "LEASE_MS", 10 * MINUTE)
                compact(other)
            return whole(*given, **named)

        monkeypatch.setattr(leases, "LEASE_MS", -1)
        monkeypatch.setattr(owner, step, interrupted)
        compact(one)
        assert nested
        assert everything(one) == everything(other) == before
        settled(one)
        assert everything(one) == everything(other) == before
        require_settled(one, database)


def test_cells_that_a_lying_server_withholds_are_not_compacted_away(
    proxy: Proxied, database: Database, at_once: None
) -> None:
    proxy.ingest("wifi", sessions(300))
    before, rows = everything(proxy), database.rows()
    with inspecting(proxy.home) as inspector:
        (tag, _) = inspector.cells(database)
    database.restore([row for row in rows if row.tag != tag])
    assert failure(lambda: compact(proxy)) == "ERROR_REASON_CELLS_MISSING"
    database.restore(rows)
    settled(proxy)
    assert everything(proxy) == before
    require_settled(proxy, database)


@pytest.mark.parametrize("lie", LIES)
def test_a_false_answer_never_gets_into_a_compacted_segment(
    lie: str, tmp_path: Path, sqlite_url: str, at_once: None
) -> None:
    with (
        serving(sqlite_url) as storage,
        lying(storage.stub, Random(3)) as liar,
        proxying(tmp_path / "home", liar.address) as proxy,
    ):
        reason = ""
        while not liar.lied:  # there may be nothing older to replay
            liar.lie = ""
            for seed in range(4):
                proxy.ingest("wifi", sessions(20, seed=seed))
                liar.acknowledge()
            before = everything(proxy)
            liar.lie = lie
            reason = failure(lambda: compact(proxy))
        assert reason.removeprefix("ERROR_REASON_") in {"CELLS_MISSING", "CELL_DAMAGED", "ANSWER_INCONSISTENT"}
        assert everything(proxy) == before
        settled(proxy)
        assert everything(proxy) == before
        require_settled(proxy, Database(sqlite_url))


def failure(ask: Callable[[], object]) -> str:
    """The reason of its failure, which must blame the server; "" if it succeeds."""
    try:
        ask()
    except grpc.RpcError as error:
        code, info, _ = refusal(error)
        assert code is grpc.StatusCode.DATA_LOSS
        return str(info.reason)
    return ""


def test_a_dropped_column_comes_back_when_it_is_defined_again(storage: Served, tmp_path: Path, at_once: None) -> None:
    home, definition = tmp_path / "home", tmp_path / "home" / "datasets" / "wifi.toml"
    definition.parent.mkdir(parents=True)
    shipped = (Path(dataset.__file__).parent / "datasets" / "wifi.toml").read_text()
    assert 'vendor = "string"\n' in shipped
    definition.write_text(shipped)
    with proxying(home, storage.address) as proxy:
        proxy.ingest("wifi", sessions(50).append_column("vendor", [pa.array(["Acme"] * 50)]))
        before = everything(proxy)
    definition.write_text(shipped.replace('vendor = "string"\n', ""))
    with proxying(home, storage.address) as proxy:
        assert "vendor" not in everything(proxy).column_names
        proxy.ingest("wifi", sessions(50, seed=2, devices=1, start=START + 4 * DAY))
        settled(proxy)
    definition.write_text(shipped)
    with proxying(home, storage.address) as proxy:
        found = proxy.records("wifi", START - DAY, START + 3 * DAY)
        assert sorted(found.to_pylist(), key=str) == sorted(before.to_pylist(), key=str)


def test_the_background_compacts_what_is_due_and_status_reports_it(
    storage: Served, tmp_path: Path, at_once: None, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    monkeypatch.setattr(BackgroundCompaction, "PERIOD_SECONDS", 0.1)
    with proxying(tmp_path / "home", storage.address) as proxy:
        proxy.ingest("wifi", sessions(300))
        before = everything(proxy)
        status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).compaction
        assert (status.fresh_segments, status.fresh_records) == (1, 300)
        monkeypatch.setattr(plan, "OVERDUE", -1)  # as if a day had passed
        assert eventually(lambda: _is_settled(proxy))
        assert everything(proxy) == before
        status = proxy.admin.GetStatus(admin_service_pb2.GetStatusRequest()).compaction
        assert (status.fresh_segments, status.fresh_records, status.failure) == (0, 0, "")
        assert status.HasField("last_round")
        require_settled(proxy, database)


def _is_settled(proxy: Proxied) -> bool:
    with inspecting(proxy.home) as inspector:
        return all(row.settled for row in inspector.rows())
