"""Opened cells of runs, kept in memory: a run never changes, so what was verified and opened once needs no second look.

What lies in open buckets is never kept: cells may come under their tags at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cachetools import LRUCache

from privacyplease.proxy.records.tables import Sought

# What a batch takes beside its buffers, and what it takes to find a key's rows. Estimates, on the large side.
_BATCH_BYTES = 1_024
_KEY_BYTES = 192


class Opened(NamedTuple):
    """The records of a cell, those of a key one after the other, so that a question reads those alone.

    Attributes:
        records: Some of their columns, the key among them.
        rows: Where those of each key begin, and how many there are.
    """

    records: pa.RecordBatch
    rows: dict[Any, tuple[int, int]]

    @classmethod
    def of(cls, batch: pa.RecordBatch, columns: Sequence[str], key: str) -> Self:
        """Takes a copy of some columns, so that nothing else of what was opened stays in memory."""
        encoded = batch[key].dictionary_encode()  # numbers sort sooner than text
        order = pc.array_sort_indices(encoded.indices)
        stretches = pc.run_end_encode(encoded.indices.take(order))
        ends = stretches.run_ends.to_numpy()
        begins = np.append(0, ends)[:-1]
        spans = zip(begins.tolist(), (ends - begins).tolist(), strict=True)
        values = encoded.dictionary.take(stretches.values).to_pylist()
        return cls(batch.select(columns).take(order), dict(zip(values, spans, strict=True)))

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes. An empty bin takes some, too."""
        return _BATCH_BYTES + int(self.records.get_total_buffer_size()) + _KEY_BYTES * len(self.rows)

    def having(self, key: Sought) -> Iterator[pa.RecordBatch]:
        """The records of a key, of several, or of all."""
        if key is None:
            yield self.records
            return
        for value in [key.as_py()] if isinstance(key, pa.Scalar) else key.to_pylist():
            if found := self.rows.get(value):
                yield self.records.slice(*found)


class _Kept(NamedTuple):
    dataset: str
    epoch: int
    cells: list[Opened]

    @property
    def columns(self) -> list[str]:
        names: list[str] = self.cells[0].records.schema.names
        return names

    @property
    def size(self) -> int:
        return sum(cell.size for cell in self.cells)


class Known(NamedTuple):
    """What the cache has of some tags.

    Attributes:
        cells: The cells under those that it has.
        lacking: For the others, the columns to keep once they are opened: those that are asked for now, and those that
            were asked for before.
    """

    cells: dict[bytes, list[Opened]]
    lacking: dict[bytes, list[str]]


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
        self._cells: LRUCache[bytes, _Kept] = LRUCache(most_bytes, getsizeof=lambda kept: kept.size)
        self._hits = self._misses = 0
        self._lock = threading.Lock()

    @property
    def figures(self) -> Figures:
        """What became of it so far."""
        with self._lock:
            return Figures(self._hits, self._misses, int(self._cells.currsize))

    def known(self, tags: Iterable[bytes], columns: Sequence[str]) -> Known:
        """What it has of some columns of the tags of some runs."""
        cells: dict[bytes, list[Opened]] = {}
        lacking: dict[bytes, list[str]] = {}
        with self._lock:
            for tag in tags:
                kept = self._cells.get(tag)
                before = kept.columns if kept else []
                if kept and set(columns).issubset(before):
                    cells[tag] = kept.cells
                else:
                    lacking[tag] = list(dict.fromkeys((*columns, *before)))
            self._hits += len(cells)
            self._misses += len(lacking)
        return Known(cells, lacking)

    def keep(self, dataset: str, fresh: Fresh) -> None:
        """Takes what an answer held, once it is known to be whole."""
        with self._lock:
            for tag, (epoch, cells) in fresh.cells.items():
                kept = _Kept(dataset, epoch, cells)
                if kept.size <= self._cells.maxsize:
                    self._cells[tag] = kept

    def fresh(self, lacking: Mapping[bytes, Sequence[str]], key: str) -> Fresh:
        """Collects for `keep` what is opened under the tags that it lacks, by the column that is the index's key."""
        return Fresh(lacking, key, int(self._cells.maxsize))

    def forget(self, dataset: str, epoch: int) -> None:
        """Drops what was opened by a key that is destroyed. Nobody may be asking with it any more."""
        with self._lock:
            for tag in [tag for tag, kept in self._cells.items() if (kept.dataset, kept.epoch) == (dataset, epoch)]:
                del self._cells[tag]


class Fresh:
    """Cells of one answer, until it is known to be whole; none of them if all would fill the cache.

    Attributes:
        cells: For each tag its epoch and cells.
    """

    def __init__(self, lacking: Mapping[bytes, Sequence[str]], key: str, most_bytes: int) -> None:
        self.cells: dict[bytes, tuple[int, list[Opened]]] = {}
        self._lacking = lacking
        self._key = key
        self._left = most_bytes

    def add(self, tag: bytes, epoch: int, batch: pa.RecordBatch) -> None:
        """Adds an opened cell, if the cache lacks it and there is room."""
        if tag not in self._lacking or self._left < 0:
            return
        opened = Opened.of(batch, self._lacking[tag], self._key)
        self._left -= opened.size
        if self._left >= 0:
            self.cells.setdefault(tag, (epoch, []))[1].append(opened)
        else:
            self.cells.clear()
