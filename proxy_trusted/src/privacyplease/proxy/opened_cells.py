"""Opened cells of runs, kept in memory: a run never changes, so what was verified and opened once needs no second look.

What lies in open buckets is never kept: cells may come under their tags at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
from cachetools import LRUCache


class _Kept(NamedTuple):
    dataset: str
    epoch: int
    batches: list[pa.RecordBatch]


class Figures(NamedTuple):
    """What became of the cache.

    Attributes:
        hits: Tags that were found in it.
        misses: Tags that were not.
        bytes: What it holds.
    """

    hits: int
    misses: int
    bytes: int


class OpenedCells:
    """The opened cells of each tag, the least recently used going first. Safe to use from many threads."""

    def __init__(self, most_bytes: int) -> None:
        """Begins empty.

        Args:
            most_bytes: How much it may hold; none for 0.
        """
        self._cells: LRUCache[bytes, _Kept] = LRUCache(most_bytes, getsizeof=lambda kept: _size(kept.batches))
        self._hits = self._misses = 0
        self._lock = threading.Lock()

    @property
    def figures(self) -> Figures:
        """What became of it so far."""
        with self._lock:
            return Figures(self._hits, self._misses, int(self._cells.currsize))

    def known(self, tags: Iterable[bytes]) -> dict[bytes, list[pa.RecordBatch]]:
        """What it has of the tags of some runs."""
        with self._lock:
            asked = list(tags)
            found = {tag: kept.batches for tag in asked if (kept := self._cells.get(tag))}
            self._hits += len(found)
            self._misses += len(asked) - len(found)
        return found

    def keep(self, dataset: str, fresh: Fresh) -> None:
        """Takes what an answer held, once it is known to be whole."""
        with self._lock:
            for tag, (epoch, batches) in fresh.cells.items():
                if _size(batches) <= self._cells.maxsize:
                    self._cells[tag] = _Kept(dataset, epoch, batches)

    def fresh(self) -> Fresh:
        """Collects for `keep`."""
        return Fresh(int(self._cells.maxsize))

    def forget(self, dataset: str, epoch: int) -> None:
        """Drops what was opened by a key that is destroyed. Nobody may be asking with it any more."""
        with self._lock:
            for tag in [tag for tag, kept in self._cells.items() if (kept.dataset, kept.epoch) == (dataset, epoch)]:
                del self._cells[tag]


class Fresh:
    """Cells of one answer, until it is known to be whole; none of them if all would fill the cache.

    Attributes:
        cells: For each tag its epoch and batches.
    """

    def __init__(self, most_bytes: int) -> None:
        self.cells: dict[bytes, tuple[int, list[pa.RecordBatch]]] = {}
        self._left = most_bytes

    def add(self, tag: bytes, epoch: int, batch: pa.RecordBatch) -> None:
        """Adds an opened cell."""
        self._left -= _size([batch])
        if self._left >= 0:
            self.cells.setdefault(tag, (epoch, []))[1].append(batch)
        else:
            self.cells.clear()


def _size(batches: Iterable[pa.RecordBatch]) -> int:
    """In memory. An empty bin takes some, too."""
    return sum(256 + batch.get_total_buffer_size() for batch in batches)
