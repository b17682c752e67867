"""The memory of cells: which need not be fetched again, and which of those are opened.

Whether a cell is *held* shows outside, for a held cell is not asked for. So it is decided by sizes and by the order in
which intervals were asked about, and by nothing else: not by who or what a question was about, and not by whether the
cell was opened for it. Whether a held cell is *opened* shows nowhere.
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


class Held:
    """A verified cell that is in memory, sealed until somebody needs what is in it.

    Attributes:
        owner: Its data set, and the key that it is sealed under.
        size: What it is accounted for, in bytes: that of the sealed cell, opened or not.
    """

    __slots__ = ("_content", "owner", "size")

    def __init__(self, owner: tuple[str, KeyId], size: int, content: Sealed | Core | Rollup) -> None:
        self.owner = owner
        self.size = size
        self._content = content

    def opened(self, kind: type[T], open_sealed: Callable[[Sealed], pa.RecordBatch]) -> T:
        """What is in the cell, which is opened but once."""
        content = self._content  # looked at once: another thread may open the cell meanwhile
        if isinstance(content, kind):
            return content
        self._content = made = kind(open_sealed(Sealed(content)))  # type: ignore[arg-type]  # it is sealed
        return made


class Figures(NamedTuple):
    """What became of the memory.

    Attributes:
        hits: Cells that were held when a question needed them.
        misses: Cells that were not.
        bytes: What the cells that it holds are accounted for.
    """

    hits: int
    misses: int
    bytes: int


class Memory:
    """The cells that are held, the least recently asked for going first. Safe to use from many threads."""

    def __init__(self, most_bytes: int) -> None:
        """Begins empty; it holds cells of at most so many bytes together."""
        self._cells: OrderedDict[Tag, Held] = OrderedDict()
        self._most_bytes, self._bytes = most_bytes, 0
        self._hits = self._misses = 0
        self._lock = threading.Lock()

    @property
    def figures(self) -> Figures:
        """What became of it so far."""
        with self._lock:
            return Figures(self._hits, self._misses, self._bytes)

    def held(self, wanted: Mapping[Tag, int]) -> dict[Tag, Held]:
        """The wanted cells that it holds, each now the most recently asked for.

        Args:
            wanted: Tags, and the size of each cell. If all of them would fill the memory, none counts as asked for.
        """
        with self._lock:
            found = {tag: held for tag in wanted if (held := self._cells.get(tag))}
            if self._admits(wanted.values()):
                for tag in found:
                    self._cells.move_to_end(tag)
            self._hits += len(found)
            self._misses += len(wanted) - len(found)
        return found

    def keep(self, cells: Mapping[Tag, Held], wanted: Mapping[Tag, int]) -> None:
        """Holds what was fetched for a question, once verified; none of it if all that was wanted would not fit."""
        with self._lock:
            if self._admits(wanted.values()):
                for tag, held in cells.items():
                    self._add(tag, held)

    def put(self, tag: Tag, held: Held) -> None:
        """Holds what was just written."""
        with self._lock:
            if self._admits([held.size]):
                self._add(tag, held)

    def drop(self, tags: Iterable[Tag]) -> None:
        """Drops cells that nobody will ask for any more."""
        with self._lock:
            for tag in tags:
                self._remove(tag)

    def forget(self, dataset: str, key: KeyId) -> None:
        """Drops every cell under a key that is destroyed. Nobody may be asking with it any more."""
        with self._lock:
            for tag in [tag for tag, held in self._cells.items() if held.owner == (dataset, key)]:
                self._remove(tag)

    def _admits(self, sizes: Iterable[int]) -> bool:
        return sum(sizes) <= self._most_bytes

    def _add(self, tag: Tag, held: Held) -> None:
        self._remove(tag)
        self._cells[tag] = held
        self._bytes += held.size
        while self._bytes > self._most_bytes:
            self._remove(next(iter(self._cells)))

    def _remove(self, tag: Tag) -> None:
        if held := self._cells.pop(tag, None):
            self._bytes -= held.size
