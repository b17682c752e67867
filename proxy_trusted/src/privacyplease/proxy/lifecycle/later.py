"""Later segments: what the storage server has that a manifest of an earlier time does not know.

Tags are made of segments' numbers, so numbers are tried, under every key: from the lowest that can have been used since
(`manifest.RESERVED`) as far as the manifest is behind, and on until there is nothing. A segment that came earlier is in
the manifest; one that was removed earlier is known to be gone.

Numbers go on in a stretch of their own after each restore. One that was given out is never given out again, although
nobody knows how far that went; and where the same backup is restored twice, what came after the first time is found.

A later segment has no digest in the manifest. It vouches for itself: nobody but the proxy has the key of its rest, and
the rest vouches for the core (`segments/segment.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

import pyarrow as pa
from sqlalchemy import Engine, select

from privacyplease.proxy.errors import AnswerInconsistentError, CellDamagedError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.changes import Change
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Entry, Row, State
from privacyplease.proxy.manifest.stored import RESERVED
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.core import Core
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import Digest, Digests, Opener, Place
from privacyplease.proxy.segments.segment import CORE_DIGEST, Sealing
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.storage.parts import parts
from privacyplease.proxy.trusted_store.tables import gone_segments

# So many numbers are tried at a time. As many in a row without a segment, and there are no later ones.
TOGETHER = 1_024

# How many numbers a stretch has: more than are given out between two restores.
STRETCH = 1 << 40

# Of cores that are read at once; their rests are a few times as large.
_PART_BYTES = 24 * 1024 * 1024


class Taken(NamedTuple):
    """What came of it.

    Attributes:
        cells: Cells that are in the manifest now.
        missing: Segments whose rest is missing.
        unreadable: Segments that do not open, or do not vouch for themselves.
    """

    cells: int = 0
    missing: int = 0
    unreadable: int = 0

    def plus(self, other: Taken) -> Taken:
        """Both together."""
        return Taken(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class _Found(NamedTuple):
    """A segment whose core is there."""

    number: SegmentId
    key: KeyId
    size: int


class Later:
    """Takes later segments into the manifest, while no proxy writes."""

    def __init__(self, store: Engine, keyring: Keyring, manifest: Manifest, storage: Storage) -> None:
        self._store = store
        self._keyring = keyring
        self._manifest = manifest
        self._storage = storage
        self._sealing = Sealing(keyring)

    def take(self, dataset: Dataset, keys: Sequence[KeyId], behind: int) -> Taken:
        """Takes in what there is, and lets numbers go on where nothing is. To do it again is safe.

        Args:
            dataset: A data set.
            keys: Those of its epochs.
            behind: How many versions the manifest is known to be behind. As many numbers are tried in any case, for
                about as many were given out: segments of one key may be few among those of another that is lost.

        Raises:
            StorageError: The server did not answer.
            AnswerInconsistentError: Its answer was none.
            KeyUnavailableError: A key does not open.
        """
        following = self._manifest.next_number(dataset.name)
        stretch = following // STRETCH * STRETCH
        outcome, found = self._take_stretch(dataset, keys, max(1, stretch, following - RESERVED), behind)
        while found or stretch <= following:
            stretch += STRETCH
            taken, found = self._take_stretch(dataset, keys, max(1, stretch), behind)
            outcome = outcome.plus(taken)
        self._manifest.skip_numbers(dataset.name, stretch)
        return outcome

    def _take_stretch(self, dataset: Dataset, keys: Sequence[KeyId], first: int, behind: int) -> tuple[Taken, bool]:
        """What was taken of a stretch, from a number on, and whether anything was there."""
        known = self._known(dataset, first)
        outcome, anything = Taken(), False
        least = first + RESERVED + behind
        while True:
            numbers = [SegmentId(number) for number in range(first, first + TOGETHER) if number not in known]
            found = [segment for key in keys for segment in self._found(dataset, key, numbers)]
            outcome = outcome.plus(self._take(dataset, found))
            anything |= bool(found)
            first += TOGETHER
            if not found and first >= least:
                return outcome, anything

    def _known(self, dataset: Dataset, first: int) -> set[int]:
        """The numbers from one on that the manifest has, or had."""
        gone = gone_segments.c
        query = select(gone.number).where(gone.dataset == dataset.name, gone.number >= first)
        with self._store.connect() as connection:
            had = set(connection.scalars(query))
        return had | {int(row.number) for row in self._manifest.rows(dataset.name)}

    def _found(self, dataset: Dataset, key: KeyId, numbers: Sequence[SegmentId]) -> list[_Found]:
        """Those of some segments whose core is there. What is in it is left for later."""
        tags = dict(zip(self._tags(dataset, key, Group.CORE, numbers), numbers, strict=True))
        if not tags:
            return []
        found, last = [], b""
        with closing(self._storage.as_sent(sorted(tags))) as pages:
            for cell in (cell for page in pages for cell in page):
                if cell.tag not in tags or cell.tag <= last:
                    raise AnswerInconsistentError("the storage server sent a cell that was not asked for, or again")
                last = cell.tag
                found.append(_Found(tags[Tag(cell.tag)], key, len(cell.sealed)))
        return found

    def _take(self, dataset: Dataset, found: Sequence[_Found]) -> Taken:
        outcome = Taken()
        for part in parts(found, _PART_BYTES, lambda segment: segment.size):
            tags = {
                tag: (segment, group)
                for segment in part
                for group in Group
                for tag in self._tags(dataset, segment.key, group, [segment.number])
            }
            came = self._storage.select(tags)
            cells: dict[_Found, dict[Group, Cell]] = {segment: {} for segment in part}
            for tag, sealed in came.items():
                segment, group = tags[tag]
                cells[segment][group] = Cell(tag, sealed)
            outcome = outcome.plus(self._take_part(dataset, cells))
        return outcome

    def _take_part(self, dataset: Dataset, cells: Mapping[_Found, Mapping[Group, Cell]]) -> Taken:
        rows, missing, unreadable = [], 0, 0
        for (number, key, _), of in cells.items():
            if Group.CORE not in of or Group.REST not in of:
                missing += 1
                continue
            try:
                rows.append(self._row(dataset, key, number, of))
            except CellDamagedError:
                unreadable += 1
        if rows:
            self._manifest.commit(Change(added=rows))
        return Taken(sum(len(row.groups) for row in rows), missing, unreadable)

    def _row(self, dataset: Dataset, key: KeyId, number: SegmentId, cells: Mapping[Group, Cell]) -> Row:
        """The row of a segment that vouches for itself, as if it had just been stored.

        Raises:
            CellDamagedError: It does not.
        """
        digests = Digests(self._keyring.digest_key(dataset.name, key))
        rest = self._open(dataset, key, Group.REST, cells[Group.REST])
        by_rest = Digest(bytes.fromhex((rest.schema.metadata or {}).get(CORE_DIGEST, b"").decode()))
        # Before the core is opened: whoever sealed another may have made it to harm who reads it.
        if not digests.vouch(by_rest, *cells[Group.CORE]):
            raise CellDamagedError("a segment's rest is not that of its core", cells=1)
        core = Core(self._open(dataset, key, Group.CORE, cells[Group.CORE]))
        if Group.ROLLUP in cells:
            self._open(dataset, key, Group.ROLLUP, cells[Group.ROLLUP])
        made = {group: by_rest if group is Group.CORE else digests.of(*cell) for group, cell in cells.items()}
        entries = {group: Entry(len(cells[group].sealed), digest) for group, digest in sorted(made.items())}
        summary = self._sealing.summary(core.columns(), core, dataset)
        settled = Group.ROLLUP in cells
        return Row(dataset.name, number, State.LIVE, 0, key, settled, 0, summary, entries)

    def _open(self, dataset: Dataset, key: KeyId, group: Group, cell: Cell) -> pa.RecordBatch:
        keys = self._keyring.group_keys(dataset.name, key, group.label)
        return Opener(keys.cell).open(Sealed(cell.sealed), Place(dataset.name, group, cell.tag))

    def _tags(self, dataset: Dataset, key: KeyId, group: Group, numbers: Sequence[SegmentId]) -> list[Tag]:
        return groups.tags(self._keyring.group_keys(dataset.name, key, group.label).tag, group, numbers)
