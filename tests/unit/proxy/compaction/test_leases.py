"""Concurrent compactors, questions and ingest, in one proxy or in several that share a trusted store."""

from __future__ import annotations

import threading

import pyarrow as pa
import pytest
from sqlalchemy import insert

from privacyplease.proxy.compaction import leases, plan
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.trusted_store.tables import claims as claims_table
from tests.unit.proxy.compaction.in_process import DAY, HOUR, START, WIFI, InProcess, sessions

pytestmark = pytest.mark.slow


def test_an_epoch_that_another_compactor_has_leased_is_skipped(proxy: InProcess) -> None:
    proxy.ingest(sessions(100), sessions(100, seed=2))
    epoch = proxy.rows()[0].key.epoch
    with proxy.store.begin() as connection:
        later = {"expires_at_ms": int(proxy.clock() * 1_000) + 60_000}
        connection.execute(insert(claims_table), {"dataset": WIFI.name, "epoch": epoch, "token": "theirs"} | later)
    assert proxy.compact() == []
    proxy.clock.ahead = 120  # the holder of the lease died
    assert len(proxy.compact()) == 1


def test_a_compactor_that_was_overtaken_changes_nothing(proxy: InProcess, other: InProcess) -> None:
    """The second takes over while the first is about to store what it has written."""
    proxy.ingest(sessions(300), sessions(300, seed=2))
    before = proxy.answers()
    other.clock.ahead = leases.LEASE_MS / 1_000 + 1

    def overtake(kind: str) -> None:
        if kind == "append":
            proxy.storage.before = lambda _: None
            other.compact()

    proxy.storage.before = overtake
    assert proxy.compact() == []
    assert proxy.storage.before != overtake
    assert proxy.answers() == other.answers() == before
    proxy.collect()
    assert proxy.stored() == proxy.tags(SegmentState.LIVE)


def test_two_concurrent_compactors_keep_every_record(
    proxy: InProcess, other: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FULL_RECORDS", 64)
    batches = [sessions(200, seed=seed, start=START + seed * 31 * DAY) for seed in range(4)]
    proxy.ingest(*batches, *batches)
    before = proxy.answers()
    threads = [threading.Thread(target=one.compact) for one in (proxy, other, proxy, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proxy.answers() == other.answers() == before
    proxy.compact()
    proxy.collect()
    assert proxy.answers() == other.answers() == before
    assert proxy.stored() == proxy.tags(SegmentState.LIVE)


def test_questions_and_ingest_are_correct_during_repeated_compaction(proxy: InProcess, other: InProcess) -> None:
    sent: set[int] = set()
    over = threading.Event()
    failed: list[BaseException] = []

    def ingest() -> None:
        for number in range(100):
            one = sessions(1, seed=number, start=START + number % 7 * HOUR)
            proxy.ingest(one.set_column(0, "client_mac", pa.array([number])))
            sent.add(number)
        over.set()

    def compact(one: InProcess) -> None:
        while not over.is_set():
            one.compact()

    def guarded(work: object, *given: object) -> None:
        try:
            work(*given)  # type: ignore[operator]
        except BaseException as error:
            failed.append(error)
            over.set()

    works = [(ingest,), (compact, proxy), (compact, other)]
    threads = [threading.Thread(target=guarded, args=work) for work in works]
    for thread in threads:
        thread.start()
    while not over.is_set():
        acknowledged = set(sent)
        assert {record["client_mac"] for record in proxy.found()} >= acknowledged
    for thread in threads:
        thread.join()
    assert failed == []
    assert {record["client_mac"] for record in other.found()} == set(range(100))
