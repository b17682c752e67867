"""What is kept of opened cells, and what is not."""

from __future__ import annotations

import pyarrow as pa

from privacyplease.proxy.opened_cells import Opened, OpenedCells

ROWS = 1_000
BATCH = pa.record_batch(
    {"n": pa.array(range(ROWS), pa.int64()), "who": pa.array([f"{row % 3}" for row in range(ROWS)])}
)
ONE = Opened.of(BATCH, ["n", "who"], "who").size  # what the batch takes, as it is counted


def keep(cells: OpenedCells, *tags: bytes, epoch: int = 1, dataset: str = "wifi", columns: str = "n who") -> None:
    fresh = cells.fresh(cells.known(tags, columns.split()).lacking, "who")
    for tag in tags:
        fresh.add(tag, epoch, BATCH)
    cells.keep(dataset, fresh)


def known(cells: OpenedCells, *tags: bytes) -> set[bytes]:
    return set(cells.known(tags, ["n"]).cells)


def test_what_was_kept_is_known() -> None:
    cells = OpenedCells(10 * ONE)
    keep(cells, b"a", b"b", b"b")
    found = cells.known([b"a", b"b", b"c"], ["n", "who"])
    assert {tag: len(of) for tag, of in found.cells.items()} == {b"a": 1, b"b": 2}
    assert found.lacking == {b"c": ["n", "who"]}
    assert cells.figures == (2, 3, 3 * ONE)


def test_the_records_of_a_key_lie_together() -> None:
    cells = OpenedCells(10 * ONE)
    keep(cells, b"a")
    (cell,) = cells.known([b"a"], ["n"]).cells[b"a"]
    for key, whose in (
        (pa.scalar("1"), {1}),
        (pa.array(["0", "2", "3"]), {0, 2}),
        (pa.scalar("3"), set()),
        (None, {0, 1, 2}),
    ):
        found = [row for batch in cell.having(key) for row in batch["n"].to_pylist()]
        assert sorted(found) == [row for row in range(ROWS) if row % 3 in whose]


def test_a_question_for_other_columns_opens_it_again_and_no_column_is_lost() -> None:
    cells = OpenedCells(10 * ONE)
    keep(cells, b"a", columns="who")
    assert not known(cells, b"a")
    assert cells.known([b"a"], ["n"]).lacking == {b"a": ["n", "who"]}
    keep(cells, b"a", columns="n")
    assert cells.known([b"a"], ["n", "who"]).cells


def test_what_was_asked_for_least_recently_goes_first() -> None:
    cells = OpenedCells(3 * ONE)
    for tag in (b"a", b"b", b"c"):
        keep(cells, tag)
    known(cells, b"a")
    keep(cells, b"d")
    assert known(cells, b"a", b"b", b"c", b"d") == {b"a", b"c", b"d"}


def test_an_answer_that_would_fill_it_changes_nothing() -> None:
    cells = OpenedCells(3 * ONE)
    keep(cells, b"a")
    keep(cells, b"b", b"c", b"d", b"e")
    assert known(cells, b"a", b"b", b"c", b"d", b"e") == {b"a"}


def test_without_room_nothing_is_kept() -> None:
    cells = OpenedCells(0)
    keep(cells, b"a")
    assert not known(cells, b"a")


def test_what_a_destroyed_key_opened_is_dropped() -> None:
    cells = OpenedCells(10 * ONE)
    keep(cells, b"a", epoch=1)
    keep(cells, b"b", epoch=2)
    keep(cells, b"c", epoch=1, dataset="bikes")
    cells.forget("wifi", 1)
    assert known(cells, b"a", b"b", b"c") == {b"b", b"c"}
