"""Rewriting: segments are copied into new ones, which then take their place in one transaction.

1. The cells of the old segments are read and verified; their records are merged, cut and sealed.
2. The new segments' rows are durable in the manifest as sent, and then their cells go to the server, those of one
   segment in one call, ascending by tag, which is a random order.
3. The new rows are stored.
4. The switch: in one change the new segments are live, and the old ones retired.
5. The new head goes to the server, and the memory forgets the old cells.

A crash before the switch leaves rows that nobody asks for, which the next compactor of the epoch clears away; a crash
after it leaves nothing to mend. The old cells stay for those who ask for them still (`collection.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from privacyplease.proxy.compaction.claims import OvertakenError
from privacyplease.proxy.compaction.cut import cut
from privacyplease.proxy.compaction.merging import opened, staying, together
from privacyplease.proxy.compaction.plan import MOST_CELL_BYTES, full_records
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, StaleError, moves, removals
from privacyplease.proxy.manifest.manifest import Committed, Manifest
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import spans
from privacyplease.proxy.segments.core import Core
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.memory import Memory
from privacyplease.proxy.segments.pages import CODED
from privacyplease.proxy.segments.segment import Sealing, Segment
from privacyplease.proxy.storage.client import APPEND_BYTES, Storage
from privacyplease.proxy.storage.parts import parts

# What is fetched at once, sealed.
FETCH_BYTES = 16 * 1024 * 1024

# How much text a segment may hold, each value as often as it occurs: it is in memory when somebody asks for it. On real
# sessions it is 12 MiB. A job takes no further segment either, once it has opened so much, coded.
MOST_TEXT_BYTES = 256 * 1024 * 1024

Check = Callable[[Connection], None]


class Rewritten(NamedTuple):
    """What one job came to.

    Attributes:
        replaced: The segments that were replaced, as they are now.
        written: The segments that replace them.
    """

    replaced: list[Row]
    written: list[Row]

    @property
    def records(self) -> int:
        """How many records were written."""
        return sum(row.summary.records for row in self.written)


class Rewriting:
    """Does jobs. Safe to use from many threads."""

    def __init__(self, manifest: Manifest, keyring: Keyring, storage: Storage, cells: Cells, memory: Memory) -> None:
        self._manifest = manifest
        self._sealing = Sealing(keyring)
        self._storage = storage
        self._cells = cells
        self._memory = memory

    def rewrite(self, rows: Sequence[Row], dataset: Dataset, key: KeyId, check: Check) -> Rewritten:
        """Puts new segments under a key in the place of live ones of one epoch.

        Args:
            rows: The segments. Should they hold more than fits into memory, the job does without the last of them.
            dataset: Their data set.
            key: What the new ones are sealed under.
            check: Is asked in every transaction; the `OvertakenError` that it may raise gives the job up.

        Raises:
            StaleError: A segment is not live any more: somebody else came first. Nothing has changed.
            OvertakenError: Somebody else does the work; likewise.
            UntrustedAnswerError: What the server returned is not what was stored. Nothing has changed.
            StorageError: The server did not answer.
        """
        taken, records = self._read(rows, dataset)
        made = list(self._sealed(records, dataset, key)) if records is not None else []
        new = [Row.of(segment, dataset.name, key, settled=True) for segment in made]
        try:
            done = self._switch(taken, self._stored(new, made, check), check)
        except (StaleError, OvertakenError):
            self._clear_away(new, made)
            raise
        self._memory.drop(tag for group in Group for tag in self._cells.tags(taken, group))
        self._publish(done)
        return Rewritten(
            [row for row in done.rows if row.state is State.RETIRED],
            [row for row in done.rows if row.state is State.LIVE],
        )

    def _read(self, rows: Sequence[Row], dataset: Dataset) -> tuple[list[Row], pa.Table | None]:
        """The segments that the job takes, and their records as they come; None if there are none."""
        taken = [row for row in rows if not row.summary.records]  # something was sent for the sake of it
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
        return taken, together(tables, dataset)

    def _opened(self, rows: Sequence[Row], dataset: Dataset) -> Iterator[tuple[Row, pa.Table]]:
        """The records of each segment."""
        for part in parts(rows, FETCH_BYTES, lambda row: row.size):
            cores, rests = (self._cells.tags(part, group) for group in (Group.CORE, Group.REST))
            came = self._cells.fetch(cores | rests)
            for (core, named), (rest, beside) in zip(cores.items(), rests.items(), strict=True):
                columns = Core(self._cells.open(named, core, came[core]))
                yield named.row, opened(columns, self._cells.open(beside, rest, came[rest]), dataset)

    def _sealed(self, records: pa.Table, dataset: Dataset, key: KeyId) -> Iterator[Segment]:
        """Segments of all records, each once. Only those of one segment are copied at a time."""
        starts, ends = spans(records, dataset)
        order = staying(records, dataset)
        parts = cut(starts[order], (ends - starts)[order], full_records(dataset))
        numbers = self._numbers(dataset, len(parts))
        for rows in parts:
            yield from self._fitting(records.take(pa.array(order[rows])), dataset, key, numbers)

    def _fitting(
        self, part: pa.Table, dataset: Dataset, key: KeyId, numbers: Iterator[SegmentId], room: int = 0
    ) -> Iterator[Segment]:
        """One segment; if its text or its cells grow too large, halves, which look full: nobody merges them again."""
        if len(part) == 1 or _text_bytes(part) <= MOST_TEXT_BYTES:
            segment = self._sealing.seal(part, dataset, key, next(numbers), settled=True, room=room)
            if len(part) == 1 or max(sealed.size for sealed in segment.groups.values()) <= MOST_CELL_BYTES:
                yield segment
                return
        half = len(part) // 2
        for of in (part.slice(0, half), part.slice(half)):
            yield from self._fitting(of, dataset, key, numbers, full_records(dataset))

    def _numbers(self, dataset: Dataset, count: int) -> Iterator[SegmentId]:
        """As many new numbers, and more one by one."""
        yield from self._manifest.numbers(dataset.name, count)
        while True:
            yield from self._manifest.numbers(dataset.name, 1)

    def _stored(self, new: Sequence[Row], made: Sequence[Segment], check: Check) -> list[Row]:
        """The rows of new segments, once their cells are stored."""
        if not new:
            return []
        sent = self._manifest.commit(Change(added=new), check=check)
        for part in parts(made, APPEND_BYTES, lambda segment: sum(of.size for of in segment.groups.values())):
            self._storage.append(sorted(of.cell for segment in part for of in segment.groups.values()))
        return self._manifest.commit(Change(moved=moves(sent.rows, State.STORED)), check=check).rows

    def _switch(self, taken: Sequence[Row], stored: Sequence[Row], check: Check) -> Committed:
        """From here on questions find the new segments, and the old ones only if they have begun before."""
        change = Change(moved=[*moves(stored, State.LIVE), *moves(taken, State.RETIRED)])
        return self._manifest.commit(change, announced=True, check=check)

    def _clear_away(self, new: Sequence[Row], made: Sequence[Segment]) -> None:
        """Takes back what was written for a job that was given up, whatever of it whoever was faster has left."""
        self._storage.delete(of.cell.tag for segment in made for of in segment.groups.values())
        self._manifest.commit(Change(removed=removals(new)))

    def _publish(self, done: Committed) -> None:
        """Sends the new head, and now and then deletes those that the server need not keep."""
        if done.head:
            self._storage.append([done.head])
        if done.outdated:
            self._storage.delete(done.outdated)


def _text_bytes(records: pa.Table) -> int:
    """What the text of records takes, each value as often as it occurs."""
    total = 0
    for column in records.columns:
        if column.type == CODED:
            coded = column.combine_chunks()
            lengths = pc.binary_length(coded.dictionary).to_numpy(zero_copy_only=False)
            total += int(lengths[coded.indices.drop_null().to_numpy()].sum())
    return total
