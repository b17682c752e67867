"""Rewriting: segments are copied into new ones, which then replace them in one transaction.

1. The cells of the old segments are read and verified; their records are merged, cut and sealed.
2. The new segments' rows are durable in the manifest as SENT, and then their cells go to the server, those of one
   segment in one call, ascending by tag, which is a random order.
3. The new rows become STORED.
4. The switch: one change makes the new segments LIVE and the old ones RETIRED.
5. The new head goes to the server, and the cache drops the old cells.

A crash before the switch leaves rows that no question uses, which the next compactor of the epoch deletes; a crash
after it leaves nothing to repair. The old cells stay for questions that still ask for them (`garbage_collection.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from privacyplease.proxy.compaction.cut import cut
from privacyplease.proxy.compaction.leases import OvertakenError
from privacyplease.proxy.compaction.merging import concatenated, segment_records, survivors
from privacyplease.proxy.compaction.plan import MOST_CELL_BYTES, full_records
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, StaleError, moves, removals
from privacyplease.proxy.manifest.manifest import Committed, Manifest
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.segments.core import Core
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.pages import CODED
from privacyplease.proxy.segments.segment import SealedSegment, SegmentSealer
from privacyplease.proxy.storage.chunking import chunks
from privacyplease.proxy.storage.client import APPEND_BYTES, StorageClient

# How much is fetched at once, sealed.
FETCH_BYTES = 16 * 1024 * 1024

# How much text a segment may hold, counting each value as often as it occurs, since a question for it has it in memory.
# On real sessions it is 12 MiB. A job also takes no further segment once it has opened this much, coded.
MOST_TEXT_BYTES = 256 * 1024 * 1024

Check = Callable[[Connection], None]


class Rewritten(NamedTuple):
    """The outcome of one job.

    Attributes:
        replaced: The segments that were replaced, in their new state.
        written: The segments that replace them.
    """

    replaced: list[ManifestRow]
    written: list[ManifestRow]

    @property
    def records(self) -> int:
        """How many records were written."""
        return sum(row.summary.records for row in self.written)


class Rewriter:
    """Rewrites segments. Safe to use from many threads."""

    def __init__(
        self, manifest: Manifest, keyring: Keyring, storage: StorageClient, cells: Cells, cache: CellCache
    ) -> None:
        self._manifest = manifest
        self._sealer = SegmentSealer(keyring)
        self._storage = storage
        self._cells = cells
        self._cache = cache

    def rewrite(self, rows: Sequence[ManifestRow], dataset: Dataset, key: KeyId, check: Check) -> Rewritten:
        """Replaces live segments of one epoch by new ones under a key.

        Args:
            rows: The segments. If they hold more than fits into memory, the job leaves out the last of them.
            dataset: Their data set.
            key: The key for the new ones.
            check: Called in every transaction; it may raise `OvertakenError`, which gives the job up.

        Raises:
            StaleError: A segment is no longer live: another change came first. Nothing has changed.
            OvertakenError: Another compactor does the work; likewise.
            UntrustedAnswerError: What the server returned is not what was stored. Nothing has changed.
            StorageError: The server did not answer.
        """
        taken, records = self._read(rows, dataset)
        segments = list(self._sealed(records, dataset, key)) if records is not None else []
        new_rows = [ManifestRow.of(segment, dataset.name, key, settled=True) for segment in segments]
        try:
            committed = self._switch(taken, self._stored(new_rows, segments, check), check)
        except (StaleError, OvertakenError):
            self._take_back(new_rows, segments)
            raise
        self._cache.drop(tag for group in Group for tag in self._cells.tags(taken, group))
        self._publish(committed)
        return Rewritten(
            [row for row in committed.rows if row.state is SegmentState.RETIRED],
            [row for row in committed.rows if row.state is SegmentState.LIVE],
        )

    def _read(self, rows: Sequence[ManifestRow], dataset: Dataset) -> tuple[list[ManifestRow], pa.Table | None]:
        """The segments that the job takes, and their records as stored; None if they have none."""
        taken = [row for row in rows if not row.summary.records]  # cover traffic
        tables: list[pa.Table] = []
        size = 0
        for row, table in self._opened([row for row in rows if row.summary.records], dataset):
            taken.append(row)
            tables.append(table)
            size += table.nbytes
            if len(tables) > 1 and size > MOST_TEXT_BYTES:
                break
        if not tables:
            return taken, None
        return taken, concatenated(tables, dataset)

    def _opened(self, rows: Sequence[ManifestRow], dataset: Dataset) -> Iterator[tuple[ManifestRow, pa.Table]]:
        """The records of each segment."""
        for chunk in chunks(rows, FETCH_BYTES, lambda row: row.size):
            cores, rests = (self._cells.tags(chunk, group) for group in (Group.CORE, Group.REST))
            cells = self._cells.fetch(cores | rests)
            for (core_tag, core_name), (rest_tag, rest_name) in zip(cores.items(), rests.items(), strict=True):
                core = Core(self._cells.open(core_name, core_tag, cells[core_tag]))
                rest = self._cells.open(rest_name, rest_tag, cells[rest_tag])
                yield core_name.row, segment_records(core, rest, dataset)

    def _sealed(self, records: pa.Table, dataset: Dataset, key: KeyId) -> Iterator[SealedSegment]:
        """Segments of all records, each once. Only the records of one segment are copied at a time."""
        starts, ends = spans(records, dataset)
        order = survivors(records, dataset)
        parts = cut(starts[order], (ends - starts)[order], full_records(dataset))
        numbers = self._numbers(dataset, len(parts))
        for rows in parts:
            yield from self._fitting(records.take(pa.array(order[rows])), dataset, key, numbers)

    def _fitting(
        self, part: pa.Table, dataset: Dataset, key: KeyId, numbers: Iterator[SegmentId], room: int = 0
    ) -> Iterator[SealedSegment]:
        """One segment; or halves if its text or cells grow too large, which count as full and are not merged again."""
        if len(part) == 1 or _text_bytes(part) <= MOST_TEXT_BYTES:
            segment = self._sealer.seal(part, dataset, key, next(numbers), settled=True, room=room)
            if len(part) == 1 or max(sealed.size for sealed in segment.groups.values()) <= MOST_CELL_BYTES:
                yield segment
                return
        half = len(part) // 2
        for records in (part.slice(0, half), part.slice(half)):
            yield from self._fitting(records, dataset, key, numbers, full_records(dataset))

    def _numbers(self, dataset: Dataset, count: int) -> Iterator[SegmentId]:
        """`count` new numbers, and then further ones, one by one."""
        yield from self._manifest.numbers(dataset.name, count)
        while True:
            yield from self._manifest.numbers(dataset.name, 1)

    def _stored(
        self, new_rows: Sequence[ManifestRow], segments: Sequence[SealedSegment], check: Check
    ) -> list[ManifestRow]:
        """Sends the cells of new segments; returns the rows, now STORED."""
        if not new_rows:
            return []
        sent = self._manifest.commit(Change(added=new_rows), check=check)
        for chunk in chunks(
            segments, APPEND_BYTES, lambda segment: sum(group.size for group in segment.groups.values())
        ):
            self._storage.append(sorted(group.cell for segment in chunk for group in segment.groups.values()))
        return self._manifest.commit(Change(moved=moves(sent.rows, SegmentState.STORED)), check=check).rows

    def _switch(self, taken: Sequence[ManifestRow], stored: Sequence[ManifestRow], check: Check) -> Committed:
        """From here on, questions find the new segments; those that began before still use the old ones."""
        change = Change(moved=[*moves(stored, SegmentState.LIVE), *moves(taken, SegmentState.RETIRED)])
        return self._manifest.commit(change, announced=True, check=check)

    def _take_back(self, new_rows: Sequence[ManifestRow], segments: Sequence[SealedSegment]) -> None:
        """Deletes what was written for a job that was given up, as far as another compactor has not deleted it yet."""
        self._storage.delete(group.cell.tag for segment in segments for group in segment.groups.values())
        self._manifest.commit(Change(removed=removals(new_rows)))

    def _publish(self, committed: Committed) -> None:
        """Sends the new head, and deletes those that the server need not keep, if there are any."""
        if committed.head:
            self._storage.append([committed.head])
        if committed.outdated:
            self._storage.delete(committed.outdated)


def _text_bytes(records: pa.Table) -> int:
    """How many bytes the text of the records has, counting each value as often as it occurs."""
    total = 0
    for column in records.columns:
        if column.type == CODED:
            coded = column.combine_chunks()
            lengths = pc.binary_length(coded.dictionary).to_numpy(zero_copy_only=False)
            total += int(lengths[coded.indices.drop_null().to_numpy()].sum())
    return total
