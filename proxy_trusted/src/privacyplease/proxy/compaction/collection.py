"""Collection: what is not needed any more is deleted by tag, from the server first and then from the manifest.

In this order a crash between the two leaves a row whose cells are deleted again, and never a cell that nobody knows of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.changes import Change, removals
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.client import Storage

# A question that began before the switch asks for the old cells still: for as long as it may take, and some more, since
# clocks and threads may lag.
LONGEST_QUESTION_MS = 150_000
KEPT_MS = LONGEST_QUESTION_MS + 30_000

# How many segments go in one transaction, which holds up those who ask.
_TOGETHER = 512


class Collection:
    """Deletes segments. Safe to use from many threads, and from several proxies over one store."""

    def __init__(
        self,
        manifest: Manifest,
        storage: Storage,
        cells: Cells,
        needed_after: Callable[[], int | None],
        clock: Callable[[], float],
    ) -> None:
        """Takes the parts.

        Args:
            manifest: The manifest.
            storage: The storage server.
            cells: Names cells.
            needed_after: The version of the manifest in the oldest backup that is to be of use: it needs the segments
                that were retired in a later one. None if there is no backup.
            clock: Tells the time in seconds since 1970.
        """
        self._manifest = manifest
        self._storage = storage
        self._cells = cells
        self._needed_after = needed_after
        self._clock = clock

    def collect(self, dataset: str) -> int:
        """Deletes the retired segments of a data set that no question and no backup can need.

        Returns:
            How many cells they had.
        """
        before, version = int(self._clock() * 1_000) - KEPT_MS, self._needed_after()
        return self._delete(
            row
            for row in self._manifest.rows(dataset, State.RETIRED)
            if row.changed_at < before and (version is None or row.version <= version)
        )

    def clear_away(self, dataset: str, epoch: int) -> int:
        """Deletes what compactors of an epoch have left that were cut short. Whoever calls it has the epoch's claim.

        Returns:
            How many cells.
        """
        return self._delete(
            row
            for row in self._manifest.rows(dataset, State.SENT, State.STORED)
            if row.settled and row.key.epoch == epoch
        )

    def _delete(self, rows: Iterable[Row]) -> int:
        chosen = list(rows)
        return sum(self._delete_some(chosen[at : at + _TOGETHER]) for at in range(0, len(chosen), _TOGETHER))

    def _delete_some(self, rows: Sequence[Row]) -> int:
        tags = [tag for group in Group for tag in self._cells.tags(rows, group)]
        self._storage.delete(tags)
        self._manifest.commit(Change(removed=removals(rows)))
        return len(tags)
