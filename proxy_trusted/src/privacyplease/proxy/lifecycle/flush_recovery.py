"""Flush recovery: decides the outcome of flushes that were interrupted because the proxy or the server failed.

The segment of such a flush has been SENT for longer than a flush can take. The server is asked for its cells: if all of
them are there as they were sealed, the segment becomes LIVE; otherwise it is given up. No client was told that its
records are stored, so either outcome is correct. If the flush is still running after all, the state decides which of
the two came first: a flush that comes second fails, and its batches are sent again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from privacyplease.proxy import clock
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.manifest.cells import CellName, Cells
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import StorageClient

# Longer than a flush can take.
RECOVER_AFTER_MS = 15 * 60_000


class RecoveredFlushes(NamedTuple):
    """How many segments became live, and how many were given up."""

    live: int
    given_up: int


class FlushRecovery:
    """Recovers fresh segments; compaction cleans up its own. Safe to use from many threads."""

    def __init__(
        self,
        datasets: Iterable[str],
        manifest: Manifest,
        cells: Cells,
        storage: StorageClient,
        segment_deleter: SegmentDeleter,
        rollback_check: RollbackCheck,
    ) -> None:
        self._datasets = list(datasets)
        self._manifest = manifest
        self._cells = cells
        self._storage = storage
        self._segment_deleter = segment_deleter
        self._rollback_check = rollback_check

    def finish(self) -> None:
        """Recovers what has been SENT for longer than `RECOVER_AFTER_MS`.

        Raises:
            ProxyError: It cannot be done now.
        """
        rows = [row for dataset in self._datasets for row in self._sent(dataset, RECOVER_AFTER_MS)]
        if rows:
            self._rollback_check.require_newest()
            self._recover(rows)

    def recover(self, dataset: str) -> RecoveredFlushes:
        """Recovers everything that is SENT, however recent. No proxy may be writing.

        Raises:
            StorageError: The server did not answer.
            UntrustedAnswerError: Its answer was malformed.
        """
        return self._recover(self._sent(dataset, 0))

    def _sent(self, dataset: str, age: int) -> list[ManifestRow]:
        latest = int(clock.steady() * 1_000) - age
        rows = self._manifest.rows(dataset, SegmentState.SENT)
        return [row for row in rows if not row.settled and row.changed_at <= latest]

    def _recover(self, rows: Iterable[ManifestRow]) -> RecoveredFlushes:
        """One at a time: few flushes are in progress when something fails."""
        outcomes = [self._recover_one(row) for row in rows]
        return RecoveredFlushes(outcomes.count(SegmentState.LIVE), outcomes.count(SegmentState.RETIRED))

    def _recover_one(self, row: ManifestRow) -> SegmentState | None:
        """The segment's new state; None if another change came first."""
        after = SegmentState.LIVE if self._complete(row) else SegmentState.RETIRED
        try:
            moved = self._manifest.commit(Change(moved=moves([row], after)))
        except StaleError:
            return None
        if after is SegmentState.RETIRED:
            self._segment_deleter.delete(moved.rows)
        return after

    def _complete(self, row: ManifestRow) -> bool:
        """Whether the server has all cells of the segment, as they were sealed."""
        wanted: dict[Tag, CellName] = {
            tag: name for group in Group for tag, name in self._cells.tags([row], group).items()
        }
        cells = self._storage.select(wanted)
        return all(tag in cells and self._cells.is_genuine(name, tag, cells[tag]) for tag, name in wanted.items())
