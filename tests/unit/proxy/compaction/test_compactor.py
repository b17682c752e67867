"""Compaction: the same answers from few segments, and a server that sees only times and numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy.compaction import plan, rewriting
from privacyplease.proxy.compaction.compactor import Backlog, Scope
from privacyplease.proxy.compaction.garbage_collection import KEPT_MS
from privacyplease.proxy.errors import CellDamagedError, CellsMissingError
from privacyplease.proxy.manifest.changes import StaleError
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Sealed
from tests.services.polling import eventually
from tests.unit.proxy.compaction.in_process import DAY, START, WIFI, InProcess, sessions


def test_compaction_keeps_answers_and_leaves_few_segments(proxy: InProcess) -> None:
    proxy.ingest(*(sessions(100, seed=seed) for seed in range(20)))
    before = proxy.answers()
    done = proxy.compact()
    assert len(proxy.rows()) == 2  # one of them with records longer than a day
    assert proxy.answers() == before
    assert (done[0].merged_cells, done[0].written_cells) == (40, 4)
    assert done[0].records == len(before[0])
    assert proxy.compact() == []  # nothing left to do


def test_replaced_segments_are_deleted_once_no_question_can_need_them(proxy: InProcess) -> None:
    proxy.ingest(*(sessions(100, seed=seed) for seed in range(3)))
    proxy.compact()
    replaced = proxy.tags(SegmentState.RETIRED)
    assert proxy.compactor.collect(WIFI) == 0
    proxy.clock.ahead = KEPT_MS / 1_000 - 1
    assert proxy.compactor.collect(WIFI) == 0
    assert replaced < proxy.stored()
    proxy.clock.ahead = KEPT_MS / 1_000 + 1
    assert proxy.compactor.collect(WIFI) == len(replaced) == 6
    assert proxy.stored() == proxy.tags(SegmentState.LIVE)
    assert proxy.rows(SegmentState.RETIRED) == []


def test_a_question_that_began_before_the_switch_is_answered(proxy: InProcess) -> None:
    proxy.ingest(sessions(100), sessions(100, seed=2))
    expected = proxy.found()
    question = Question(WIFI, EVER, columns=tuple(WIFI.others))
    with proxy.search.ask(question) as answer:
        proxy.compact()
        proxy.compactor.collect(WIFI)
        tables = [hit.table(WIFI, question.columns) for hit in answer.hits]
    assert len(tables) == 2
    assert len(expected) <= sum(map(len, tables)) == 200


def test_segments_that_a_backup_needs_stay(proxy: InProcess) -> None:
    proxy.ingest(sessions(100))
    proxy.compact()
    proxy.needed_after = proxy.manifest.head().version  # a backup is made
    proxy.ingest(sessions(100, seed=2))
    proxy.compact()
    first, second = (row for row in proxy.rows(SegmentState.RETIRED) if not row.settled)
    proxy.collect()
    left = proxy.rows(SegmentState.RETIRED)
    assert first not in left
    assert second in left
    proxy.needed_after = proxy.manifest.head().version
    proxy.collect()
    assert proxy.rows(SegmentState.RETIRED) == []


def test_late_records_are_found_at_once_and_merged_by_the_next_compaction(proxy: InProcess) -> None:
    proxy.ingest(sessions(500))
    proxy.compact()
    proxy.ingest(sessions(300, seed=2), sessions(500))
    found = proxy.answers()
    assert len(found[0]) > 500
    proxy.compact()
    assert proxy.answers() == found
    assert len(proxy.rows()) == 2


def test_a_log_that_is_sent_three_times_is_stored_once(proxy: InProcess) -> None:
    proxy.ingest(sessions(2_000))
    proxy.compact()
    once = [row.summary[:5] for row in proxy.rows()], [row.size for row in proxy.rows()]
    for _ in range(2):
        proxy.ingest(sessions(2_000))
        proxy.compact()
    assert ([row.summary[:5] for row in proxy.rows()], [row.size for row in proxy.rows()]) == once


def test_without_a_command_nothing_is_compacted_before_it_is_due(proxy: InProcess) -> None:
    proxy.ingest(sessions(10), sessions(10, seed=2))
    assert proxy.compactor.backlog(WIFI) == Backlog(2, 20)
    assert proxy.compact(Scope()) == []
    assert proxy.compact(Scope(by_command=True, recent=False)) == []
    assert proxy.compact(Scope(by_command=True, interval=Interval(0, START - 40 * DAY))) == []
    proxy.clock.ahead = 86_401
    assert len(proxy.compact(Scope())) == 1
    assert proxy.compactor.backlog(WIFI) == Backlog(0, 0)


def test_each_epoch_is_compacted_separately(proxy: InProcess) -> None:
    for seed in range(3):
        proxy.ingest(sessions(100, seed=seed), sessions(100, seed=seed, start=START + 40 * DAY))
    before = proxy.answers()
    done = proxy.compact()
    assert len({of.epoch for of in done}) == 2
    assert len(proxy.rows()) == 4
    assert proxy.answers() == before


def test_segments_without_records_are_removed(proxy: InProcess) -> None:
    proxy.cover(replace(WIFI, cover=20))
    assert eventually(lambda: proxy.compactor.backlog(WIFI).segments > 4)
    assert proxy.compactor.backlog(WIFI).records == 0
    proxy.stop()
    (done,) = proxy.compact()
    assert (done.written_cells, done.records) == (0, 0)
    assert proxy.rows() == []
    proxy.collect()
    assert proxy.stored() == set()


def test_large_segments_are_cut_in_time_and_have_roll_ups(proxy: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FULL_RECORDS", 256)
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 128)
    proxy.ingest(*(sessions(1_000, seed=seed, width=20 * DAY) for seed in range(5)))
    before = proxy.answers()
    proxy.compact()
    rows = proxy.rows()
    assert 15 <= len(rows) <= 30
    assert all((Group.ROLLUP in row.groups) is (row.summary.records >= 128) for row in rows)
    short = sorted((row.summary for row in rows if row.summary.longest <= DAY), key=lambda of: of.first)
    assert all(one.last <= other.first for one, other in pairwise(short))
    assert proxy.answers() == before
    with proxy.search.ask(Question(WIFI, EVER, rollups=True)) as answer:
        assert rollups.count_distinct(answer.rollups, None, np.array([], np.uint64)).devices == 50


def test_cells_of_one_segment_are_sent_in_one_call_of_bounded_size(
    proxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FULL_RECORDS", 64)
    monkeypatch.setattr(rewriting, "APPEND_BYTES", 16_384)
    proxy.ingest(sessions(2_000, width=20 * DAY))
    sent = len(proxy.storage.calls)
    proxy.compact()
    calls = [call.sizes for call in proxy.storage.calls[sent:] if call.name == "append" and len(call.sizes) > 1]
    assert len(calls) > 3
    assert all(len(sizes) % 2 == 0 and sum(sizes) <= 16_384 for sizes in calls)


def test_what_the_server_sees_depends_only_on_times_and_numbers(tmp_path_factory: pytest.TempPathFactory) -> None:
    traces = []
    for seed, first_device in ((1, 0), (2, 1_000)):
        proxy = InProcess(tmp_path_factory.mktemp("home"))
        for batch in (sessions(3_000, width=20 * DAY), sessions(500, start=START + DAY)):
            who = np.random.default_rng(seed).permutation(len(batch)) + first_device
            where = pa.array([f"room {seed} {number % 7 * seed}" for number in who])
            proxy.ingest(batch.set_column(0, "client_mac", pa.array(who)).set_column(1, "ap_name", where))
        sent = len(proxy.storage.calls)
        proxy.compact()
        proxy.collect()
        traces.append([(call.name, sorted(call.sizes)) for call in proxy.storage.calls[sent:]])
        proxy.stop()
    assert traces[0] == traces[1]


def test_a_dropped_column_comes_back_when_it_is_defined_again(proxy: InProcess) -> None:
    batch = sessions(50).append_column("vendor", [pa.array(["Acme"] * 50)])
    proxy.ingest(batch)
    before = proxy.found()
    columns = {name: kind for name, kind in WIFI.columns.items() if name != "vendor"}
    without = replace(WIFI, columns=columns)
    proxy.ingest(sessions(50, seed=2, start=START + 2 * DAY), dataset=without)
    assert "vendor" not in proxy.found(dataset=without)[0]
    proxy.compact(dataset=without)
    assert len(proxy.rows()) == 2
    assert [record for record in proxy.found() if record["vendor"]] == before
    assert {record["vendor"] for record in proxy.found()} == {"Acme", None}


def test_segments_with_much_text_are_cut_and_not_merged_again(
    proxy: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "MOST_TEXT_BYTES", 20_000)
    texts = pa.array([f"{number:0500}" for number in range(200)])
    proxy.ingest(*(sessions(200, seed=seed).append_column("vendor", texts) for seed in range(3)))
    before = proxy.answers()
    proxy.compact()  # it terminates
    assert len(proxy.rows()) > 10
    assert proxy.answers() == before
    assert proxy.compact() == []


@pytest.mark.parametrize("lie", ["withheld", "damaged"])
def test_a_lying_server_is_detected_and_changes_nothing(proxy: InProcess, lie: str) -> None:
    for seed in range(3):
        proxy.ingest(sessions(100, seed=seed), sessions(100, seed=seed, start=START + 40 * DAY))
    before, rows = proxy.answers(), proxy.rows()
    (tag,) = proxy.cells.tags(rows[:1], Group.REST)
    honest = proxy.storage.cells[tag]
    if lie == "withheld":
        del proxy.storage.cells[tag]
    else:
        proxy.storage.cells[tag] = Sealed(honest[:-1] + bytes([honest[-1] ^ 1]))
    error = CellsMissingError if lie == "withheld" else CellDamagedError
    with pytest.raises(error):
        proxy.compact()
    assert proxy.cells.answers.refused[error.reason] == 1
    epoch = rows[0].key.epoch
    assert [row for row in proxy.rows() if row.key.epoch == epoch] == [row for row in rows if row.key.epoch == epoch]
    assert sum(row.key.epoch != epoch for row in proxy.rows()) == 2  # the other epoch is compacted
    proxy.storage.cells[tag] = honest
    assert proxy.answers() == before
    proxy.compact()
    assert proxy.answers() == before


def test_a_renewed_epoch_is_rewritten_under_its_new_key(proxy: InProcess) -> None:
    proxy.ingest(*(sessions(200, seed=seed) for seed in range(3)))
    before, old = proxy.answers(), proxy.rows()
    key = proxy.keyring.renew(WIFI.name, old[0].key.epoch)
    assert proxy.compact() == []  # segments under an older key are left to the renewal
    proxy.ingest(sessions(10, seed=9))
    with_late = proxy.answers()
    assert proxy.compactor.rewrite(WIFI, old, key) == len(before[0])
    assert {row.key for row in proxy.rows()} == {key}
    assert proxy.answers() == with_late
    with pytest.raises(StaleError):
        proxy.compactor.rewrite(WIFI, old, key)
    assert proxy.answers() == with_late
    proxy.compact()
    assert len(proxy.rows()) == 2
    assert proxy.answers() == with_late
    proxy.collect()
    assert proxy.stored() == proxy.tags(SegmentState.LIVE)


def test_the_switch_sends_the_newest_head_and_drops_old_cores_from_the_cache(proxy: InProcess) -> None:
    proxy.ingest(sessions(100), sessions(100, seed=2))
    old = proxy.tags()
    assert proxy.cache.figures.bytes
    proxy.compact()
    (newest,) = proxy.manifest.heads.tags([proxy.manifest.head().sequence])
    assert newest in proxy.storage.cells
    assert proxy.cache.held(dict.fromkeys(old, 1)) == {}


def test_the_server_keeps_few_heads(proxy: InProcess) -> None:
    for number in range(40):
        proxy.ingest(sessions(1, seed=number))
        proxy.compact()
    heads = set(proxy.manifest.heads.tags(range(1, proxy.manifest.head().sequence + 1)))
    assert proxy.manifest.head().sequence >= 100
    assert len(heads & set(proxy.storage.cells)) < 75
