from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from privacyplease.server.cells import Cell
from privacyplease.server.pages import clamped, cursor_after, pages, ref_at

CELLS = st.builds(
    Cell, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.binary(min_size=1, max_size=300)
)


@given(st.lists(CELLS), st.integers(1, 1000))
def test_pages_hold_every_cell_once_and_keep_to_their_size(cells: list[Cell], page_bytes: int) -> None:
    gathered = list(pages(cells, page_bytes))
    assert [cell for page in gathered for cell in page] == cells
    for page in gathered:
        assert len(page) == 1 or sum(32 + len(cell.sealed) for cell in page) <= page_bytes


@given(CELLS)
def test_a_cursor_names_the_cell_it_was_made_from(cell: Cell) -> None:
    assert ref_at(cursor_after(cell)) == cell.ref


@given(st.binary().filter(lambda cursor: len(cursor) != 32))
def test_anything_else_is_no_cursor(cursor: bytes) -> None:
    assert ref_at(cursor) is None


@given(st.integers(0, 2**32 - 1))
def test_page_sizes_are_brought_into_bounds(page_bytes: int) -> None:
    assert 64 << 10 <= clamped(page_bytes) <= 2 << 20
