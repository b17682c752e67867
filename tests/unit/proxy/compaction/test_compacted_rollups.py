"""Roll-ups of settled segments: the same counts without the records, through compaction and renewal."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from privacyplease.proxy.compaction import plan
from privacyplease.proxy.errors import CellsMissingError
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.hashes import ROLLUP_LABEL, lasting_key, subject_hashes
from tests.unit.proxy.compaction.in_process import DAY, START, WIFI, InProcess, sessions

WEEK = 7 * DAY


@pytest.fixture(autouse=True)
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A week of a few thousand sessions in a dozen segments, each with a roll-up."""
    monkeypatch.setattr(plan, "FULL_RECORDS", 512)
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 256)


def week(seed: int = 1) -> pa.Table:
    return sessions(8_000, seed=seed, width=WEEK)


@pytest.fixture
def compacted(proxy: InProcess) -> InProcess:
    proxy.ingest(week())
    proxy.compact()
    proxy.collect()
    return proxy


def count(proxy: InProcess, interval: Interval = EVER, *places: str) -> int:
    """How many devices there were, from roll-ups where possible."""
    sought = pa.array(places) if places else None
    with proxy.search.ask(Question(WIFI, interval, places=sought, rollups=True)) as answer:
        subjects = pa.concat_arrays([pa.array([], pa.int64()), *(hit.subjects for hit in answer.hits)]).unique()
        key = lasting_key(WIFI, proxy.keyring, ROLLUP_LABEL)
        others = subject_hashes(key, subjects, WIFI.columns[WIFI.subject])
        return rollups.count_distinct(answer.rollups, places or None, others).devices


def expected(of: pa.Table, interval: Interval, *places: str) -> int:
    starts = of["association_time"].cast(pa.int64()).to_numpy()
    ends = starts + of["session_duration"].cast(pa.int64()).to_numpy()
    chosen = (starts <= interval.end) & (ends >= interval.start)
    if places:
        chosen &= np.isin(of["ap_name"].to_numpy(zero_copy_only=False), places)
    return len(np.unique(of["client_mac"].to_numpy()[chosen]))


def rolled_up(proxy: InProcess) -> list[ManifestRow]:
    return [row for row in proxy.rows() if Group.ROLLUP in row.groups]


def remove(proxy: InProcess, rows: list[ManifestRow], group: Group) -> None:
    """Makes the server lose cells."""
    for tag in proxy.cells.tags(rows, group):
        del proxy.storage.cells[tag]


def test_counts_are_those_of_the_records_over_any_time(compacted: InProcess) -> None:
    assert len(rolled_up(compacted)) > 10
    late = sessions(300, seed=2, width=WEEK, devices=70)  # some of them new
    compacted.ingest(late)
    everything, random = pa.concat_tables([week(), late]), Random(3)
    begins = random.sample(range(START - DAY, START + WEEK), 12)
    ranges = [Interval(begin, begin + random.randrange(2 * WEEK)) for begin in begins]
    for when in [EVER, Interval(START + DAY, START + WEEK), *ranges]:
        assert count(compacted, when) == expected(everything, when)
        assert count(compacted, when, "ap-3") == expected(everything, when, "ap-3")
        assert count(compacted, when, "ap-1", "ap-4", "nowhere") == expected(everything, when, "ap-1", "ap-4")


def test_a_period_inside_the_interval_is_counted_without_its_records(compacted: InProcess) -> None:
    before = count(compacted), count(compacted, EVER, "ap-1")
    remove(compacted, rolled_up(compacted), Group.CORE)
    assert (count(compacted), count(compacted, EVER, "ap-1")) == before
    with pytest.raises(CellsMissingError):
        compacted.found()


def test_a_withheld_roll_up_is_detected(compacted: InProcess) -> None:
    remove(compacted, rolled_up(compacted)[:1], Group.ROLLUP)
    with pytest.raises(CellsMissingError):
        count(compacted)
    compacted.found()  # which needs no roll-up


def test_compacting_again_replaces_roll_ups_and_leaves_none_behind(compacted: InProcess) -> None:
    late = week(seed=2)
    compacted.ingest(late)
    compacted.compact()
    compacted.collect()
    assert compacted.stored() == compacted.tags(SegmentState.LIVE)
    assert sum(Group.ROLLUP in row.groups for row in compacted.rows()) > 20
    assert count(compacted) == expected(pa.concat_tables([week(), late]), EVER)


def test_roll_ups_count_after_the_keys_were_renewed(compacted: InProcess) -> None:
    before, rows = count(compacted), compacted.rows()
    key = compacted.keyring.renew(WIFI.name, rows[0].key.epoch)
    compacted.compactor.rewrite(WIFI, rows, key)
    assert rolled_up(compacted)
    assert count(compacted) == before


def test_all_full_segments_look_alike(compacted: InProcess) -> None:
    sizes = {tuple(entry.size for entry in row.groups.values()) for row in rolled_up(compacted)}
    assert len(sizes) <= 2
