"""Sealing: records become cells, once for each index.

Every record of a batch that shares (epoch, level, bucket, bin) goes into one cell. What is done for each cell is done
in Python; what is done for each record is done by numpy and Arrow.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.cell_ids import CELL_ID_LABEL, drawing
from privacyplease.proxy.cells import Sealer
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.records.timeline import Millis
from privacyplease.proxy.tags import TAG_BYTES, bins, tags

# Half of what a server takes by default. A cell beyond it is sealed as two.
MOST_SEALED_BYTES = 4 * 1024 * 1024
# So is one that would open into more, however well it compresses: whoever opens it has to hold it.
MOST_OPENED_BYTES = 64 * 1024 * 1024

Numbers = npt.NDArray[np.int64]


class Owner(NamedTuple):
    """Whose keys a cell is sealed under: an index in an epoch."""

    dataset: str
    epoch: int
    index_name: str


class Bucket(NamedTuple):
    """A bucket of time of an epoch."""

    level: int
    number: int


class Cell(NamedTuple):
    """A sealed page of records, what the server finds it by, and, for the proxy alone, whose it is and where it lies.

    The bucket is None for a cell of a run.
    """

    tag: bytes
    cell_id: bytes
    sealed: bytes
    owner: Owner
    bucket: Bucket | None = None


class Coordinates(NamedTuple):
    """Where n records lie in time: int64[n] each; starts in ms."""

    starts: Millis
    epochs: Numbers
    levels: Numbers
    buckets: Numbers


class Sealing:
    """Turns records into cells."""

    def __init__(self, keyring: Keyring, layouts: Layouts) -> None:
        self._keyring = keyring
        self._layouts = layouts

    def seal(self, records: pa.Table, dataset: Dataset) -> Iterator[Cell]:
        """The cells of every index for checked records.

        The epochs' keys are durable before the first cell is given out, so a cell that is stored can be opened whatever
        happens next.
        """
        where = self._under_current_keys(_coordinates(records, dataset), dataset)
        for index in dataset.indexes.values():
            for epoch in np.unique(where.epochs).tolist():
                rows = np.flatnonzero(where.epochs == epoch)
                yield from self._seal_epoch(records, dataset, index, epoch, rows, where)

    def reseal(self, records: pa.Table, dataset: Dataset, index: Index, epoch: int) -> Iterator[Cell]:
        """The cells of one index for records of one epoch, under the key of a number."""
        where = _coordinates(records, dataset)
        yield from self._seal_epoch(records, dataset, index, epoch, np.arange(len(records)), where)

    def _under_current_keys(self, where: Coordinates, dataset: Dataset) -> Coordinates:
        """Makes sure of the epochs' keys, and puts the number of its key in the place of each epoch."""
        epochs, each = np.unique(where.epochs, return_inverse=True)
        current = np.array([self._keyring.ensure(dataset.name, epoch) for epoch in epochs.tolist()], np.int64)
        return where._replace(epochs=current[each])

    def _seal_epoch(
        self, records: pa.Table, dataset: Dataset, index: Index, epoch: int, rows: Numbers, where: Coordinates
    ) -> Iterator[Cell]:
        keys = self._keyring.keys(dataset.name, epoch, index.name)
        values = records[index.key].take(pa.array(rows)).combine_chunks()
        placed = bins(keys.bin, values, dataset.columns[index.key], index.bins)
        levels, buckets = where.levels[rows], where.buckets[rows]
        order = np.lexsort((where.starts[rows], placed, buckets, levels))
        bounds = _bounds(levels[order], buckets[order], placed[order])
        first = order[bounds[:-1]]
        names = tags(keys.tag, levels[first], buckets[first], placed[first]).tobytes()
        ordered = records.select(index.columns).take(pa.array(rows[order])).combine_chunks()
        sealer = Sealer(keys.cell, self._layouts.current(dataset, index), dataset.name, index.name)
        batch = pa.RecordBatch.from_arrays([column.chunk(0) for column in ordered.columns], schema=ordered.schema)
        owner = Owner(dataset.name, epoch, index.name)
        within = [Bucket(*place) for place in zip(levels[first].tolist(), buckets[first].tolist(), strict=True)]
        ids = drawing(self._keyring.derived(dataset.name, epoch, CELL_ID_LABEL))
        yield from _seal_groups(sealer, batch, bounds.tolist(), names, owner, within, ids)


def _coordinates(records: pa.Table, dataset: Dataset) -> Coordinates:
    timeline = dataset.timeline
    starts, ends = spans(records, dataset)
    levels = timeline.levels(ends - starts)
    return Coordinates(starts, timeline.epochs(starts), levels, timeline.buckets(starts, levels))


def _bounds(*columns: Numbers) -> Numbers:
    """Where groups of equal rows begin, and the end of the last: int64[groups + 1]. The columns are sorted together."""
    changed = np.zeros(len(columns[0]), bool)
    changed[:1] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.append(np.flatnonzero(changed), len(changed))


def _seal_groups(
    sealer: Sealer,
    batch: pa.RecordBatch,
    bounds: list[int],
    names: bytes,
    owner: Owner,
    within: list[Bucket],
    ids: Iterator[bytes],
) -> Iterator[Cell]:
    # Asked once: to measure the slice of every cell took a third of the time of sealing it.
    fits = batch.nbytes <= MOST_OPENED_BYTES
    for group, (begin, end) in enumerate(pairwise(bounds)):
        tag = names[group * TAG_BYTES : (group + 1) * TAG_BYTES]
        yield from _seal_page(sealer, batch.slice(begin, end - begin), tag, owner, within[group], ids, fits=fits)


def _seal_page(
    sealer: Sealer,
    batch: pa.RecordBatch,
    tag: bytes,
    owner: Owner,
    bucket: Bucket,
    ids: Iterator[bytes],
    *,
    fits: bool,
) -> Iterator[Cell]:
    """Seals a page as one cell, or as several if it is too large; `fits` spares the question what it opens into."""
    if fits or batch.nbytes <= MOST_OPENED_BYTES or len(batch) == 1:
        cell_id = next(ids)
        sealed = sealer.seal(batch, tag, cell_id, secrets.token_bytes(NONCE_BYTES))
        if len(sealed) <= MOST_SEALED_BYTES or len(batch) == 1:
            yield Cell(tag, cell_id, sealed, owner, bucket)
            return
    half = len(batch) // 2
    yield from _seal_page(sealer, batch.slice(0, half), tag, owner, bucket, ids, fits=fits)
    yield from _seal_page(sealer, batch.slice(half), tag, owner, bucket, ids, fits=fits)
