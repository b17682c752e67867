"""Settling: what became of flushes whose outcome nobody knows, because the proxy or the server went away.

Such a segment is SENT for longer than a flush can take. The server is asked for its cells: if all of them are there as
they were sealed, it is LIVE; else it is given up. Nobody was told that its records are stored, so either is right. A
flush that runs all the same is never overtaken: the state decides which of the two came first, and a flush that comes
second fails, and its batches are sent again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from privacyplease.proxy.lifecycle.disposal import Disposal
from privacyplease.proxy.manifest.cells import Cells, Name
from privacyplease.proxy.manifest.changes import Change, StaleError, moves
from privacyplease.proxy.manifest.currency import Currency
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.storage.cell import Tag
from privacyplease.proxy.storage.client import Storage

SETTLED_AFTER = 15 * 60_000


class Settled(NamedTuple):
    """How many segments are live, and how many were given up."""

    live: int
    given_up: int


class Settling:
    """Settles fresh segments. What compaction has sent is compaction's. Safe to use from many threads."""

    def __init__(
        self,
        datasets: Iterable[str],
        manifest: Manifest,
        cells: Cells,
        storage: Storage,
        disposal: Disposal,
        currency: Currency,
    ) -> None:
        self._datasets = list(datasets)
        self._manifest = manifest
        self._cells = cells
        self._storage = storage
        self._disposal = disposal
        self._currency = currency

    def finish(self) -> None:
        """Settles what has been SENT for longer than `SETTLED_AFTER`.

        Raises:
            ProxyError: It must wait.
        """
        rows = [row for dataset in self._datasets for row in self._sent(dataset, SETTLED_AFTER)]
        if rows:
            self._currency.require()
            self._settle(rows)

    def settle(self, dataset: str) -> Settled:
        """Settles all that is SENT, however recently: only for when no proxy writes.

        Raises:
            StorageError: The server did not answer.
            UntrustedAnswerError: Its answer was none.
        """
        return self._settle(self._sent(dataset, 0))

    def _sent(self, dataset: str, age: int) -> list[Row]:
        latest = int(time.time() * 1_000) - age
        rows = self._manifest.rows(dataset, State.SENT)
        return [row for row in rows if not row.settled and row.changed_at <= latest]

    def _settle(self, rows: Iterable[Row]) -> Settled:
        """Each by itself: a few were on their way when something went away."""
        outcomes = [self._settle_one(row) for row in rows]
        return Settled(outcomes.count(State.LIVE), outcomes.count(State.RETIRED))

    def _settle_one(self, row: Row) -> State | None:
        """What the segment is now; None if somebody else came first."""
        after = State.LIVE if self._whole(row) else State.RETIRED
        try:
            moved = self._manifest.commit(Change(moved=moves([row], after)))
        except StaleError:
            return None
        if after is State.RETIRED:
            self._disposal.dispose(moved.rows)
        return after

    def _whole(self, row: Row) -> bool:
        wanted: dict[Tag, Name] = {tag: name for group in Group for tag, name in self._cells.tags([row], group).items()}
        came = self._storage.select(wanted)
        return all(tag in came and self._cells.vouched(name, tag, came[tag]) for tag, name in wanted.items())
