"""What is kept of opened cells, and what is not."""

from __future__ import annotations

import pyarrow as pa

from privacyplease.proxy.opened_cells import OpenedCells

BATCH = pa.record_batch({"n": pa.array(range(1_000), pa.int64())})
ONE = 8_256  # what the batch takes, as it is counted


def keep(cells: OpenedCells, *tags: bytes, epoch: int = 1, dataset: str = "wifi") -> None:
    fresh = cells.fresh()
    for tag in tags:
        fresh.add(tag, epoch, BATCH)
    cells.keep(dataset, fresh)


def test_what_was_kept_is_known() -> None:
    cells = OpenedCells(10 * ONE)
    keep(cells, b"a", b"b", b"b")
    assert {tag: len(batches) for tag, batches in cells.known([b"a", b"b", b"c"]).items()} == {b"a": 1, b"b": 2}
    assert cells.figures == (2, 1, 3 * ONE)


def test_what_was_asked_for_least_recently_goes_first() -> None:
    cells = OpenedCells(3 * ONE)
    for tag in (b"a", b"b", b"c"):
        keep(cells, tag)
    cells.known([b"a"])
    keep(cells, b"d")
    assert cells.known([b"a", b"b", b"c", b"d"]).keys() == {b"a", b"c", b"d"}


def test_an_answer_that_would_fill_it_changes_nothing() -> None:
    cells = OpenedCells(3 * ONE)
    keep(cells, b"a")
    keep(cells, b"b", b"c", b"d", b"e")
    assert cells.known([b"a", b"b", b"c", b"d", b"e"]).keys() == {b"a"}


def test_without_room_nothing_is_kept() -> None:
    cells = OpenedCells(0)
    keep(cells, b"a")
    assert not cells.known([b"a"])


def test_what_a_destroyed_key_opened_is_dropped() -> None:
    cells = OpenedCells(10 * ONE)
    keep(cells, b"a", epoch=1)
    keep(cells, b"b", epoch=2)
    keep(cells, b"c", epoch=1, dataset="bikes")
    cells.forget("wifi", 1)
    assert cells.known([b"a", b"b", b"c"]).keys() == {b"b", b"c"}
