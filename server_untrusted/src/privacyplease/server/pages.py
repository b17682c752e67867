"""Pages of a selection, and the cursors that resume it.

A cursor is the tag of a page's last cell. It says nothing that the page did not, so it needs no secrecy; a cursor in a
request is checked by `requests`.

>>> cells = [Cell(bytes([n]) * 16, b"opaque" * 100) for n in range(5)]
>>> [len(page) for page in pages(cells, page_bytes=1300)]
[2, 2, 1]
>>> cursor_after(cells[2]) == cells[2].tag
True
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from privacyplease.server.cells import TAG_BYTES, Cell
from privacyplease.server.limits import MIB

_DEFAULT_PAGE_BYTES = 1 * MIB
_LEAST_PAGE_BYTES = MIB // 16
_MOST_PAGE_BYTES = 2 * MIB


def clamped(page_bytes: int) -> int:
    """The page size for a request: 0 asks for the default, other values are brought into bounds."""
    return min(max(page_bytes or _DEFAULT_PAGE_BYTES, _LEAST_PAGE_BYTES), _MOST_PAGE_BYTES)


def pages(cells: Iterable[Cell], page_bytes: int) -> Iterator[list[Cell]]:
    """Groups cells into pages of at most `page_bytes`, except for pages of a single larger cell."""
    page: list[Cell] = []
    room = page_bytes
    for cell in cells:
        size = TAG_BYTES + len(cell.sealed)
        if page and size > room:
            yield page
            page, room = [], page_bytes
        page.append(cell)
        room -= size
    if page:
        yield page


def cursor_after(cell: Cell) -> bytes:
    """The cursor that resumes a selection after a cell."""
    return cell.tag
