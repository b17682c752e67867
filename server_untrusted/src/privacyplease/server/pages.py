"""Pages of a selection, and the cursors that resume it.

A cursor is the tag of the last cell of a page. It holds nothing that its holder did not just receive, so it needs no
secrecy; what comes back is checked by `requests`.

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
    """The page size that a request gets: 0 asks for the default, all else is brought into bounds."""
    return min(max(page_bytes or _DEFAULT_PAGE_BYTES, _LEAST_PAGE_BYTES), _MOST_PAGE_BYTES)


def pages(cells: Iterable[Cell], page_bytes: int) -> Iterator[list[Cell]]:
    """Gathers cells into pages that stay within `page_bytes`, except for a single cell that is larger."""
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
    """The cursor that resumes after a cell."""
    return cell.tag
