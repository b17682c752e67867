"""The cell cache: which cells need not be fetched again, and which of those are already opened.

The server can see whether a cell is *held*, since a held cell is not asked for. So that depends on sizes and on the
order in which intervals were asked about, and on nothing else: not on whom or what a question was about, and not on
whether the cell was opened for it. Whether a held cell is *opened* is visible nowhere.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

import pyarrow as pa

from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.segments.core import Core
from privacyplease.proxy.segments.rollups import Rollup
from privacyplease.proxy.storage.cell import Sealed, Tag

T = TypeVar("T", Core, Rollup)


class CachedCell:
    """A verified cell in memory, sealed until its content is needed.

    Attributes:
        owner: Its data set, and the key that it is sealed under.
        size: What it counts towards the limit, in bytes: the size of the sealed cell, opened or not.
    """

    __slots__ = ("_content", "owner", "size")

    def __init__(self, owner: tuple[str, KeyId], size: int, content: Sealed | Core | Rollup) -> None:
        self.owner = owner
        self.size = size
        self._content = content

    def opened(self, kind: type[T], open_sealed: Callable[[Sealed], pa.RecordBatch]) -> T:
        """The content of the cell, which is opened at most once."""
        content = self._content  # read once: another thread may open the cell meanwhile
        if isinstance(content, kind):
            return content
        self._content = opened = kind(open_sealed(Sealed(content)))  # type: ignore[arg-type]  # it is sealed
        return opened


class CacheFigures(NamedTuple):
    """The cache in numbers.

    Attributes:
        hits: Cells that were held when a question needed them.
        misses: Cells that were not held.
        bytes: The size of the held cells, sealed.
    """

    hits: int
    misses: int
    bytes: int


class CellCache:
    """The cells that are held; the least recently asked for are evicted first. Safe to use from many threads."""

    def __init__(self, most_bytes: int) -> None:
        """Starts empty; the cells that it holds have at most `most_bytes` bytes in total."""
        self._cells: OrderedDict[Tag, CachedCell] = OrderedDict()
        self._most_bytes, self._bytes = most_bytes, 0
        self._hits = self._misses = 0
        self._lock = threading.Lock()

    @property
    def figures(self) -> CacheFigures:
        """The numbers since the proxy started."""
        with self._lock:
            return CacheFigures(self._hits, self._misses, self._bytes)

    def held(self, wanted: Mapping[Tag, int]) -> dict[Tag, CachedCell]:
        """The wanted cells that it holds; they are now the most recently asked for.

        Args:
            wanted: Tags, and the size of each cell. If they exceed the cache all together, none counts as asked for.
        """
        with self._lock:
            cells = {tag: cell for tag in wanted if (cell := self._cells.get(tag))}
            if self._admits(wanted.values()):
                for tag in cells:
                    self._cells.move_to_end(tag)
            self._hits += len(cells)
            self._misses += len(wanted) - len(cells)
        return cells

    def keep(self, cells: Mapping[Tag, CachedCell], wanted: Mapping[Tag, int]) -> None:
        """Holds verified cells that were fetched for a question; none of them unless all that was wanted would fit."""
        with self._lock:
            if self._admits(wanted.values()):
                for tag, held in cells.items():
                    self._add(tag, held)

    def put(self, tag: Tag, held: CachedCell) -> None:
        """Holds a cell that was just written."""
        with self._lock:
            if self._admits([held.size]):
                self._add(tag, held)

    def drop(self, tags: Iterable[Tag]) -> None:
        """Drops cells that will not be asked for any more."""
        with self._lock:
            for tag in tags:
                self._remove(tag)

    def forget(self, dataset: str, key: KeyId) -> None:
        """Drops every cell under a destroyed key. No question may still be using that key."""
        with self._lock:
            for tag in [tag for tag, held in self._cells.items() if held.owner == (dataset, key)]:
                self._remove(tag)

    def _admits(self, sizes: Iterable[int]) -> bool:
        return sum(sizes) <= self._most_bytes

    def _add(self, tag: Tag, held: CachedCell) -> None:
        self._remove(tag)
        self._cells[tag] = held
        self._bytes += held.size
        while self._bytes > self._most_bytes:
            self._remove(next(iter(self._cells)))

    def _remove(self, tag: Tag) -> None:
        if held := self._cells.pop(tag, None):
            self._bytes -= held.size
