from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.server.cells import Cell
from privacyplease.server.errors import InvalidRequestError
from privacyplease.server.pages import clamped, cursor_after, pages
from privacyplease.server.requests import tags_after

TAGS = st.binary(min_size=16, max_size=16)
CELLS = st.builds(Cell, TAGS, st.binary(min_size=1, max_size=300))


@given(st.lists(CELLS), st.integers(1, 1000))
def test_pages_hold_every_cell_once_and_keep_within_their_size(cells: list[Cell], page_bytes: int) -> None:
    gathered = list(pages(cells, page_bytes))
    assert [cell for page in gathered for cell in page] == cells
    for page in gathered:
        assert len(page) == 1 or sum(16 + len(cell.sealed) for cell in page) <= page_bytes


@given(st.sets(TAGS, min_size=1), st.data())
def test_a_cursor_resumes_with_the_tags_after_its_cell(tags: set[bytes], data: st.DataObject) -> None:
    ascending = tuple(sorted(tags))
    position = data.draw(st.integers(0, len(ascending) - 1))
    assert tags_after(b"", ascending) == ascending
    assert tags_after(cursor_after(Cell(ascending[position], b"opaque")), ascending) == ascending[position + 1 :]


@given(st.sets(TAGS), st.binary(min_size=1, max_size=20))
def test_a_value_that_is_not_a_requested_tag_is_refused_as_cursor(tags: set[bytes], cursor: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="cursor"):
        tags_after(cursor, tuple(sorted(tags - {cursor})))


@given(st.integers(0, 2**32 - 1))
def test_page_sizes_are_clamped(page_bytes: int) -> None:
    assert 64 << 10 <= clamped(page_bytes) <= 2 << 20
