"""Search: an answer has exactly the matching records, whatever is cached, and nothing that was changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacyplease.proxy.errors import CellDamagedError, CellsMissingError, PredicateTooLargeError, RolledBackError
from privacyplease.proxy.query import counting
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.query.trace import Trace
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import EVER, Interval
from privacyplease.proxy.segments import rollups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.segment import SealedSegment, SegmentSealer
from privacyplease.proxy.storage.cell import Sealed
from tests.services.fake_storage import FakeStorage
from tests.services.read_write_core import ReadWriteCore, core

WIFI, BIKES = (dataset.load()[name] for name in ("wifi", "bikes"))
DAY = 86_400_000
NOTE = {"wifi": "device_name", "bikes": "status"}
EDGE = 30 * DAY  # the boundary between two epochs

Session = tuple[int, str, int, int]  # who, where, from, for how long

instants = st.integers(EDGE - 40, EDGE + 40) | st.integers(0, 90 * DAY)
sessions = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["a", "b", "café"]), instants, st.integers(0, 90) | st.just(2 * DAY)),
    min_size=1,
    max_size=12,
)
batches = st.lists(sessions, min_size=1, max_size=4)
intervals = st.tuples(instants, instants).map(lambda pair: Interval(min(pair), max(pair)))


def table(found: list[Session], of: Dataset = WIFI) -> pa.Table:
    who, where, start, long = zip(*found, strict=True)
    subjects = pa.array(who, pa.int64()) if of is WIFI else pa.array([f"s/{one}" for one in who])
    return pa.table(
        {
            of.subject: subjects,
            of.place: list(where),
            of.start: pa.array(start, pa.int64()).cast(pa.timestamp("ms", "UTC")),
            of.duration: pa.array(long, pa.int64()).cast(pa.duration("ms")),
            "device_name" if of is WIFI else "status": [
                f"{place}-{one}" for one, place in zip(who, where, strict=True)
            ],
        }
    )


def expected(reported: list[list[Session]], interval: Interval, who: int | None, where: str | None) -> set[Session]:
    longest: dict[tuple[int, str, int], int] = {}
    for one in (one for batch in reported for one in batch):
        if one[2] <= interval.end and one[2] + one[3] >= interval.start:
            longest[one[:3]] = max(longest.get(one[:3], 0), one[3])
    found = {(*key, long) for key, long in longest.items()}
    return {one for one in found if who in (None, one[0]) and where in (None, one[1])}


def rows(records: pa.Table, of: Dataset) -> list[Session]:
    who = records[of.subject].to_pylist()
    return list(
        zip(
            [one if of is WIFI else int(one[2:]) for one in who],
            records[of.place].to_pylist(),
            records[of.start].cast(pa.int64()).to_pylist(),
            records[of.duration].cast(pa.int64()).to_pylist(),
            strict=True,
        )
    )


@settings(max_examples=40, deadline=None)
@given(batches, intervals, st.none() | st.integers(0, 5), st.sampled_from([None, "a", "z"]), st.booleans())
def test_an_answer_has_every_matching_record_and_no_other(
    reported: list[list[Session]], interval: Interval, who: int | None, where: str | None, people: bool
) -> None:
    of = WIFI if people else BIKES
    subject = None if who is None else pa.scalar(who, pa.int64()) if people else pa.scalar(f"s/{who}")
    question = Question(of, interval, subject, None if where is None else pa.scalar(where))
    for cache_bytes in (0, 1 << 30):
        with TemporaryDirectory() as folder, core(Path(folder), cache_bytes=cache_bytes) as made:
            for batch in reported:
                made.ingest(table(batch, of), of)
            for _ in range(2):
                found = rows(made.ask(question), of)
                assert set(found) == expected(reported, interval, who, where)
                assert len(found) == len(set(found))


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[ReadWriteCore]:
    with core(tmp_path) as made:
        for hour in range(4):
            found = [(who, "ab"[who % 2], EDGE + hour * 3_600_000 + who, 60_000) for who in range(20)]
            made.ingest(table(found), WIFI)
        made.server.calls.clear()
        yield made


def test_other_columns_come_with_their_records(filled: ReadWriteCore) -> None:
    found = filled.ask(Question(WIFI, EVER, pa.scalar(3, pa.int64()), columns=("device_name", "vendor")))
    assert found["device_name"].to_pylist() == ["b-3"] * 4
    assert found["vendor"].null_count == 4


def test_a_cell_that_cannot_hold_the_device_is_fetched_and_not_opened(
    filled: ReadWriteCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(type(filled.cells), "open", lambda *_: opened.append(1))
    assert len(filled.ask(Question(WIFI, EVER, pa.scalar(0xFFFFFFFFFFFF, pa.int64())))) == 0
    assert opened == []
    assert [len(call.sizes) for call in filled.server.calls] == [4]


def _changed(server: FakeStorage) -> None:
    for tag, sealed in server.cells.items():
        server.cells[tag] = Sealed(sealed[:-1] + bytes([sealed[-1] ^ 1]))


def _one_withheld(server: FakeStorage) -> None:
    del server.cells[max(server.cells, key=lambda tag: len(server.cells[tag]))]  # not a head, which is smaller


def _swapped(server: FakeStorage) -> None:
    server.cells = dict(zip(server.cells, reversed(server.cells.values()), strict=True))


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (_changed, CellDamagedError),
        (_swapped, CellDamagedError),
        (_one_withheld, CellsMissingError),
        (lambda server: server.cells.clear(), CellsMissingError),
    ],
    ids=["changed", "swapped", "one withheld", "all withheld"],
)
def test_a_false_answer_of_the_server_is_an_error(filled: ReadWriteCore, lie: Any, error: type[Exception]) -> None:
    question = Question(WIFI, EVER, columns=("device_name",))
    lie(filled.server)
    with pytest.raises(error):
        filled.ask(question)
    assert sum(filled.cells.answers.refused.values()) == 1
    assert filled.cells.answers.whole == 0


def test_a_question_that_touches_too_many_cells_is_refused(filled: ReadWriteCore) -> None:
    filled.search._most_tags = 3
    with pytest.raises(PredicateTooLargeError, match="at most 3 cells, got 4"):
        filled.ask(Question(WIFI, EVER))


def test_a_newer_head_elsewhere_stops_the_first_question(tmp_path: Path) -> None:
    server = FakeStorage()
    (tmp_path / "old").mkdir()
    with core(tmp_path / "old", server) as made:
        made.ingest(table([(1, "a", EDGE, 0)]), WIFI)
        made.store.dispose()
    copy = tmp_path / "new"
    shutil.copytree(tmp_path / "old", copy)
    with core(copy, server) as made:
        made.ingest(table([(2, "a", EDGE, 0)]), WIFI)
    with core(tmp_path / "old", server) as made:
        with pytest.raises(RolledBackError, match="it was rolled back"):
            made.ask(Question(WIFI, EVER))
        with pytest.raises(RolledBackError):
            made.ingest(table([(3, "a", EDGE, 0)]), WIFI)


def test_a_traced_question_fetches_every_cell_whatever_is_cached(tmp_path: Path) -> None:
    with core(tmp_path, cache_bytes=1 << 30) as made:
        made.ingest(table([(1, "a", EDGE, 0), (2, "a", EDGE, 0)]), WIFI)
        made.ingest(table([(1, "a", EDGE, 60_000)]), WIFI)
        trace, question = Trace(), Question(WIFI, EVER, pa.scalar(1, pa.int64()))
        with made.search.ask(question, trace) as answer:
            assert sum(map(len, answer.hits)) == 2
        assert (trace.cells[Group.CORE], trace.opened, trace.kept) == (2, 3, 2)
        assert len(made.ask(question)) == 1


def _settled(sealing: SegmentSealer, seal: Any, *given: Any, **named: Any) -> SealedSegment:
    return seal(sealing, *given, **(named | {"settled": True}))


def test_a_count_from_roll_ups_equals_the_count_of_the_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From roll-ups inside the interval, and records at its ends."""
    monkeypatch.setattr(rollups, "LEAST_RECORDS", 1)
    monkeypatch.setattr(SegmentSealer, "seal", partialmethod(_settled, SegmentSealer.seal))
    with core(tmp_path) as made:
        for hour in range(12):
            found = [(who + hour, "ab"[who % 2], EDGE + hour * 3_600_000 + who, 60_000) for who in range(20)]
            made.ingest(table(found), WIFI)
        question = Question(WIFI, Interval(EDGE + 30 * 60_000, EDGE + 13 * 3_600_000), rollups=True)
        for places in (None, pa.scalar("a")):
            asked = replace(question, places=places)
            with made.search.ask(asked) as answer:
                assert answer.rollups
                rolled = counting.count(asked, answer, made.keyring)
            with made.search.ask(replace(asked, rollups=False)) as answer:
                assert rolled == counting.count(asked, answer, made.keyring)
