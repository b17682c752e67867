"""A storage server in memory that stands in for `Storage`, for tests of the proxy within one process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from privacyplease.proxy.errors import StorageUnavailableError
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.storage.v1 import storage_service_pb2 as pb

_CELLS_A_PAGE = 5


class RecordedCall(NamedTuple):
    """What the server sees of one call: its name, the tags in the order sent, and the length of each cell."""

    name: str
    tags: tuple[Tag, ...]
    sizes: tuple[int, ...] = ()


class FakeStorage:
    """Keeps cells by their tags.

    Attributes:
        cells: What is stored.
        calls: Every call so far.
        lie: Changes an answer of `as_sent`, which nothing checks before the caller sees it.
        before: Called with the name of each call before it is done; may raise.
    """

    def __init__(self) -> None:
        self.cells: dict[Tag, Sealed] = {}
        self.calls: list[RecordedCall] = []
        self.lie: Callable[[list[pb.Cell]], list[pb.Cell]] = list
        self.before: Callable[[str], None] = lambda _: None
        self._fails: set[str] = set()

    def append(self, cells: Sequence[Cell]) -> None:
        """See `Storage.append`."""
        self._record("append", [cell.tag for cell in cells], [len(cell.sealed) for cell in cells])
        for tag, sealed in cells:
            self.cells.setdefault(tag, sealed)

    def select(self, tags: Iterable[Tag]) -> dict[Tag, Sealed]:
        """See `Storage.select`."""
        wanted = sorted(tags)
        answer = {tag: self.cells[tag] for tag in wanted if tag in self.cells}
        self._record("select", wanted, [len(sealed) for sealed in answer.values()])
        return answer

    def as_sent(self, tags: Sequence[Tag]) -> Generator[Sequence[pb.Cell]]:
        """See `Storage.as_sent`."""
        answer = self.lie([pb.Cell(tag=tag, sealed=sealed) for tag, sealed in self.select(tags).items()])
        for begin in range(0, len(answer), _CELLS_A_PAGE):
            yield answer[begin : begin + _CELLS_A_PAGE]

    def delete(self, tags: Iterable[Tag]) -> int:
        """See `Storage.delete`."""
        wanted = sorted(tags)
        self._record("delete", wanted, [])
        return sum(self.cells.pop(tag, None) is not None for tag in wanted)

    def limits(self) -> pb.Limits:
        """See `Storage.limits`."""
        return pb.Limits(max_tags_per_predicate=65_536, max_cells_per_append=16_384, max_cell_bytes=8 << 20)

    @contextmanager
    def failing(self, *names: str) -> Iterator[None]:
        """Makes the calls of these names fail as unavailable, within the block."""
        self._fails |= {*names}
        try:
            yield
        finally:
            self._fails -= {*names}

    def _record(self, name: str, tags: Sequence[Tag], sizes: Sequence[int]) -> None:
        self.calls.append(RecordedCall(name, tuple(tags), tuple(sizes)))
        self.before(name)
        if name in self._fails:
            raise StorageUnavailableError("the storage server cannot be reached")
