"""Pages of bytes as one readable file, while they arrive."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# How much is buffered when a reader asks for less: the usual size of a page.
_BUFFER = 1024 * 1024


class _PageFile(io.RawIOBase):
    def __init__(self, next_page: Callable[[], bytes | None]) -> None:
        self._next_page = next_page
        self._page = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: "WriteableBuffer") -> int:
        while not self._page:
            page = self._next_page()
            if page is None:
                return 0
            self._page = memoryview(page)
        room = memoryview(target).cast("B")
        size = min(len(room), len(self._page))
        room[:size] = self._page[:size]
        self._page = self._page[size:]
        return size


def page_file(next_page: Callable[[], bytes | None]) -> io.BufferedReader:
    """A file over the pages that `next_page` returns; it returns None after the last."""
    return io.BufferedReader(_PageFile(next_page), _BUFFER)
