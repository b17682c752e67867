"""Runs: records of one index, cut by time, and sealed so that all bins look alike.

What is cut is a table for each bin. All bins are cut at the same instants, or the cells of one run would say something
of each other.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.cells import CELL_ID_BYTES, LEAST_PAGE_BYTES, OVERHEAD_BYTES, Sealer, coarse, padme
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.sealing import MOST_SEALED_BYTES, Cell, Owner
from privacyplease.proxy.tiers import TARGET_BYTES

# On real WiFi sessions, ordered as below, level 3 takes 3 % (place index) to 16 % (subject index) less than level 1;
# level 6 another 2 % for twice the time.
COMPRESSION_LEVEL = 3

# What a cell should open into at most, in bytes, however well it compresses.
MOST_RUN_BYTES = 16 * 1024 * 1024

Mask = npt.NDArray[np.bool_]


class Stretch(NamedTuple):
    """Records that become a run: a table for each bin, ordered as they will lie in the cell."""

    bins: list[pa.Table]


class Pages(NamedTuple):
    """The pages of a run before they are sealed.

    Attributes:
        contents: For each bin its pages, equally many for all.
        lengths: For each bin what its pages are padded to. 0: an empty bin that gets no cell.
    """

    contents: list[list[bytes]]
    lengths: list[int]

    @property
    def size(self) -> int:
        """What the fullest bin takes on the server, in bytes."""
        return max((length + OVERHEAD_BYTES) * len(self.contents[0]) for length in self.lengths)


def cut(bins: list[pa.Table], dataset: Dataset, narrower: int, sealer: Sealer) -> Iterator[Stretch]:
    """Cuts records into runs of about the size that cells should have.

    Args:
        bins: A table for each bin, of the sealer's layout; at least one has records.
        dataset: Their data set.
        narrower: Where they do not fit into one run, longer records (ms) have runs of their own.
        sealer: Tells how large they become.
    """
    stretch = Stretch([_ordered(table, dataset) for table in bins])
    parts = _parts(stretch, sealer)
    if parts == 1:
        yield stretch
        return
    durations = [ends - starts for starts, ends in (spans(table, dataset) for table in stretch.bins)]
    for long in (False, True):
        chosen = Stretch(
            [table.filter(pa.array((of > narrower) == long)) for table, of in zip(stretch.bins, durations, strict=True)]
        )
        if any(map(len, chosen.bins)):
            yield from _slices(chosen, dataset, _parts(chosen, sealer))


def paginate(stretch: Stretch, sealer: Sealer, *, hide_volume: bool) -> Pages:
    """Compresses a run's records, and works out what to pad them to."""
    pages = 1
    contents = [_contents(table, pages, sealer) for table in stretch.bins]
    while max(max(map(len, of)) for of in contents) > MOST_SEALED_BYTES and pages < max(map(len, stretch.bins)):
        pages *= 2
        contents = [_contents(table, pages, sealer) for table in stretch.bins]
    fullest = [max(LEAST_PAGE_BYTES, *map(len, of)) for of in contents]
    if hide_volume:
        return Pages(contents, [coarse(max(fullest))] * len(contents))
    return Pages(contents, [padme(of) if len(table) else 0 for of, table in zip(fullest, stretch.bins, strict=True)])


def seal(pages: Pages, tags: list[bytes], sealer: Sealer, owner: Owner) -> Iterator[Cell]:
    """The cells of a run; `tags` has one for each bin."""
    for tag, contents, length in zip(tags, pages.contents, pages.lengths, strict=True):
        for content in contents if length else ():
            random = secrets.token_bytes(CELL_ID_BYTES + NONCE_BYTES)
            cell_id, nonce = random[:CELL_ID_BYTES], random[CELL_ID_BYTES:]
            yield Cell(tag, cell_id, sealer.enclose(content, length, tag, cell_id, nonce), owner)


def _ordered(table: pa.Table, dataset: Dataset) -> pa.Table:
    """Like beside like: it compresses best."""
    keys = [(name, "ascending") for name in (dataset.place, dataset.subject, dataset.start)]
    return table.sort_by(keys).combine_chunks()


def _parts(stretch: Stretch, sealer: Sealer) -> int:
    """How many runs the records should become: as many as the fullest bin asks for."""
    fullest = max(stretch.bins, key=lambda table: int(table.nbytes))
    sealed, opened = len(sealer.content(_batch(fullest))), int(fullest.nbytes)
    # A quarter more is still one run, so that runs are not cut that were merged because they looked small enough.
    parts = 1 if 4 * sealed <= 5 * TARGET_BYTES else -(-sealed // TARGET_BYTES)
    return max(parts, -(-opened // MOST_RUN_BYTES))


def _slices(stretch: Stretch, dataset: Dataset, parts: int) -> Iterator[Stretch]:
    """Cuts by start, at the same instants for all bins, into about equally many records each."""
    starts = [spans(table, dataset)[0] for table in stretch.bins]
    together = np.sort(np.concatenate(starts))
    begins = np.unique(together[np.arange(parts) * len(together) // parts])
    for begin, end in zip(begins, [*begins[1:], together[-1] + 1], strict=True):
        inside = [pa.array((of >= begin) & (of < end)) for of in starts]
        yield Stretch([table.filter(rows) for table, rows in zip(stretch.bins, inside, strict=True)])


def _contents(table: pa.Table, pages: int, sealer: Sealer) -> list[bytes]:
    bounds = np.linspace(0, len(table), pages + 1).astype(np.int64).tolist()
    return [sealer.content(_batch(table.slice(begin, end - begin))) for begin, end in pairwise(bounds)]


def _batch(table: pa.Table) -> pa.RecordBatch:
    columns = [
        column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.combine_chunks().columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
