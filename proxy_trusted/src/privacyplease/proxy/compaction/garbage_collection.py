"""Garbage collection: deletes segments that are not needed any more, from the server first, then from the manifest.

In this order, a crash between the two leaves a row whose cells are deleted again, and never a cell without a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from privacyplease.proxy.clock import steady
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, removals
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.client import StorageClient

# A question that began before the switch still asks for the old cells. They are kept for as long as a question may
# take, plus a margin for clocks and threads that lag.
LONGEST_QUESTION_MS = 150_000
KEPT_MS = LONGEST_QUESTION_MS + 30_000

# How many segments are removed in one transaction, which blocks questions.
_TOGETHER = 512


class GarbageCollector:
    """Deletes segments. Safe to use from many threads, and from several proxies over one store."""

    def __init__(
        self,
        manifest: Manifest,
        storage: StorageClient,
        cells: Cells,
        needed_after: Callable[[], int | None],
        clock: Callable[[], float] = steady,
    ) -> None:
        """Initialises the collector.

        Args:
            manifest: The manifest.
            storage: The storage server.
            cells: Computes tags.
            needed_after: Returns the manifest's version in the oldest backup that must stay usable, which needs the
                segments that were retired in a later version. None if there is no backup.
            clock: Returns the time in seconds since 1970.
        """
        self._manifest = manifest
        self._storage = storage
        self._cells = cells
        self._needed_after = needed_after
        self._clock = clock

    def collect(self, dataset: str) -> int:
        """Deletes the retired segments of a data set that neither a question nor a backup can need.

        Returns:
            How many cells they had.
        """
        before, version = int(self._clock() * 1_000) - KEPT_MS, self._needed_after()
        return self._delete(
            row
            for row in self._manifest.rows(dataset, SegmentState.RETIRED)
            if row.changed_at < before and (version is None or row.version <= version)
        )

    def delete_leftovers(self, dataset: str, epoch: int) -> int:
        """Deletes what interrupted compactors of an epoch have left. The caller must hold the epoch's lease.

        Returns:
            How many cells that were.
        """
        return self._delete(
            row
            for row in self._manifest.rows(dataset, SegmentState.SENT, SegmentState.STORED)
            if row.settled and row.key.epoch == epoch
        )

    def _delete(self, rows: Iterable[ManifestRow]) -> int:
        chosen = list(rows)
        return sum(self._delete_batch(chosen[begin : begin + _TOGETHER]) for begin in range(0, len(chosen), _TOGETHER))

    def _delete_batch(self, rows: Sequence[ManifestRow]) -> int:
        tags = [tag for group in Group for tag in self._cells.tags(rows, group)]
        self._storage.delete(tags)
        self._manifest.commit(Change(removed=removals(rows)))
        return len(tags)
