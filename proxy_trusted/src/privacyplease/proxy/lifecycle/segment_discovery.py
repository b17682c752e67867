"""Segment discovery: finds segments at the storage server that are newer than the manifest.

Tags are derived from segment numbers, so numbers are tried, under every key: from the lowest that can have been used
since the manifest was current (`statements.RESERVED`), at least as far as the manifest is known to be behind, and
until a run of numbers has no segment. An earlier segment is in the manifest; one that was removed earlier is known to
be gone.

After each restore, numbers continue in a new range. So a number is never assigned twice, although it is unknown how far
numbers had gone; and if the same backup is restored twice, what was stored after the first restore is found.

A newer segment has no digest in the manifest. It authenticates itself: only the proxy has the key of its rest, and the
rest has the digest of the core (`segments/segment.py`).
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
from privacyplease.proxy.manifest.rows import CellEntry, ManifestRow, SegmentState
from privacyplease.proxy.manifest.statements import RESERVED
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.core import Core
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import CellContext, Digest, Digests, Opener
from privacyplease.proxy.segments.segment import CORE_DIGEST, SegmentSealer
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.chunking import chunks
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.trusted_store.tables import gone_segments

# How many numbers are tried at a time. If a run of this length has no segment, there are no further ones.
TOGETHER = 1_024

# How many numbers a range has: more than are assigned between two restores.
RANGE = 1 << 40

# The size of the cores that are read at once; their rests are a few times as large.
_CHUNK_BYTES = 24 * 1024 * 1024


class Discovered(NamedTuple):
    """The outcome of a discovery.

    Attributes:
        cells: Cells that were added to the manifest.
        missing: Segments whose rest is missing.
        unreadable: Segments that do not open, or do not authenticate themselves.
    """

    cells: int = 0
    missing: int = 0
    unreadable: int = 0

    def plus(self, other: Discovered) -> Discovered:
        """The sum of both."""
        return Discovered(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class _Candidate(NamedTuple):
    """A segment whose core the server has."""

    number: SegmentId
    key: KeyId
    size: int


class SegmentDiscovery:
    """Adds newer segments to the manifest, while no proxy writes."""

    def __init__(self, store: Engine, keyring: Keyring, manifest: Manifest, storage: StorageClient) -> None:
        self._store = store
        self._keyring = keyring
        self._manifest = manifest
        self._storage = storage
        self._sealer = SegmentSealer(keyring)

    def discover(self, dataset: Dataset, keys: Sequence[KeyId], behind: int) -> Discovered:
        """Adds the segments of a data set, and makes numbers continue in an unused range. Repeating it is safe.

        Args:
            dataset: The data set.
            keys: The keys of its epochs.
            behind: How many versions the manifest is known to be behind. At least as many numbers are tried, since
                about as many were assigned: segments under one key may be sparse among those under a lost one.

        Raises:
            StorageError: The server did not answer.
            AnswerInconsistentError: Its answer was malformed.
            KeyUnavailableError: A key cannot be unwrapped.
        """
        following = self._manifest.next_number(dataset.name)
        first = following // RANGE * RANGE
        outcome, used = self._search_range(dataset, keys, max(1, first, following - RESERVED), behind)
        while used or first <= following:
            first += RANGE
            added, used = self._search_range(dataset, keys, max(1, first), behind)
            outcome = outcome.plus(added)
        self._manifest.skip_numbers(dataset.name, first)
        return outcome

    def _search_range(
        self, dataset: Dataset, keys: Sequence[KeyId], first: int, behind: int
    ) -> tuple[Discovered, bool]:
        """Adds the segments of a range, from a number on; also returns whether the server has any there."""
        known = self._known(dataset, first)
        outcome, used = Discovered(), False
        least = first + RESERVED + behind
        while True:
            numbers = [SegmentId(number) for number in range(first, first + TOGETHER) if number not in known]
            candidates = [candidate for key in keys for candidate in self._candidates(dataset, key, numbers)]
            outcome = outcome.plus(self._add(dataset, candidates))
            used |= bool(candidates)
            first += TOGETHER
            if not candidates and first >= least:
                return outcome, used

    def _known(self, dataset: Dataset, first: int) -> set[int]:
        """The numbers from `first` on that the manifest has or had."""
        gone = gone_segments.c
        query = select(gone.number).where(gone.dataset == dataset.name, gone.number >= first)
        with self._store.connect() as connection:
            removed = set(connection.scalars(query))
        return removed | {int(row.number) for row in self._manifest.rows(dataset.name)}

    def _candidates(self, dataset: Dataset, key: KeyId, numbers: Sequence[SegmentId]) -> list[_Candidate]:
        """The segments among the numbers whose core the server has. Their content is not looked at yet."""
        tags = dict(zip(self._tags(dataset, key, Group.CORE, numbers), numbers, strict=True))
        if not tags:
            return []
        candidates, last = [], b""
        with closing(self._storage.select_unchecked(sorted(tags))) as pages:
            for cell in (cell for page in pages for cell in page):
                if cell.tag not in tags or cell.tag <= last:
                    raise AnswerInconsistentError(
                        "the storage server sent a cell that was not asked for, twice or out of order"
                    )
                last = cell.tag
                candidates.append(_Candidate(tags[Tag(cell.tag)], key, len(cell.sealed)))
        return candidates

    def _add(self, dataset: Dataset, candidates: Sequence[_Candidate]) -> Discovered:
        """Reads candidates and adds them to the manifest."""
        outcome = Discovered()
        for chunk in chunks(candidates, _CHUNK_BYTES, lambda candidate: candidate.size):
            tags = {
                tag: (candidate, group)
                for candidate in chunk
                for group in Group
                for tag in self._tags(dataset, candidate.key, group, [candidate.number])
            }
            cells: dict[_Candidate, dict[Group, Cell]] = {candidate: {} for candidate in chunk}
            for tag, sealed in self._storage.select(tags).items():
                candidate, group = tags[tag]
                cells[candidate][group] = Cell(tag, sealed)
            outcome = outcome.plus(self._add_rows(dataset, cells))
        return outcome

    def _add_rows(self, dataset: Dataset, cells: Mapping[_Candidate, Mapping[Group, Cell]]) -> Discovered:
        rows, missing, unreadable = [], 0, 0
        for (number, key, _), by_group in cells.items():
            if Group.CORE not in by_group or Group.REST not in by_group:
                missing += 1
                continue
            try:
                rows.append(self._row(dataset, key, number, by_group))
            except CellDamagedError:
                unreadable += 1
        if rows:
            self._manifest.commit(Change(added=rows))
        return Discovered(sum(len(row.groups) for row in rows), missing, unreadable)

    def _row(self, dataset: Dataset, key: KeyId, number: SegmentId, cells: Mapping[Group, Cell]) -> ManifestRow:
        """The row of a segment that authenticates itself, as if it had just been stored.

        Raises:
            CellDamagedError: It does not authenticate itself.
        """
        digests = Digests(self._keyring.digest_key(dataset.name, key))
        rest = self._open(dataset, key, Group.REST, cells[Group.REST])
        core_digest = Digest(bytes.fromhex((rest.schema.metadata or {}).get(CORE_DIGEST, b"").decode()))
        # Before the core is opened: a forged core may be crafted to harm its reader.
        if not digests.verify(core_digest, *cells[Group.CORE]):
            raise CellDamagedError("a segment's rest and core do not belong together", cells=1)
        core = Core(self._open(dataset, key, Group.CORE, cells[Group.CORE]))
        if Group.ROLLUP in cells:
            self._open(dataset, key, Group.ROLLUP, cells[Group.ROLLUP])
        digest_of = {group: core_digest if group is Group.CORE else digests.of(*cell) for group, cell in cells.items()}
        entries = {group: CellEntry(len(cells[group].sealed), digest) for group, digest in sorted(digest_of.items())}
        summary = self._sealer.summary(core.columns(), core, dataset)
        settled = Group.ROLLUP in cells
        return ManifestRow(dataset.name, number, SegmentState.LIVE, 0, key, settled, 0, summary, entries)

    def _open(self, dataset: Dataset, key: KeyId, group: Group, cell: Cell) -> pa.RecordBatch:
        keys = self._keyring.group_keys(dataset.name, key, group.label)
        return Opener(keys.cell).open(Sealed(cell.sealed), CellContext(dataset.name, group, cell.tag))

    def _tags(self, dataset: Dataset, key: KeyId, group: Group, numbers: Sequence[SegmentId]) -> list[Tag]:
        return groups.tags(self._keyring.group_keys(dataset.name, key, group.label).tag, group, numbers)
