"""Which part of time holds data: what a question need not ask for.

A superset is always safe, so an extent is widened, durably, before the cells it announces are sent, and a crash in
between costs a look-up and no more.
"""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import ColumnElement, Engine, case, select

from privacyplease.proxy.timeline import Extent
from privacyplease.proxy.trusted_store import erasures, extents, writing
from privacyplease.proxy.upsert import Columns, inserted_or


class Extents:
    """The extents of every data set. Safe to use from many threads."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self._known: dict[tuple[str, int, int], tuple[int, int]] = {}
        self._lock = threading.Lock()

    def extents(self, dataset: str) -> list[Extent]:
        """Every (epoch, level) of a data set that may hold data, ascending. Erased epochs hold none."""
        columns = (extents.c.epoch, extents.c.level, extents.c.first_bucket, extents.c.last_bucket)
        erased = select(erasures.c.epoch).where(erasures.c.dataset == dataset)
        query = select(*columns).where(extents.c.dataset == dataset, extents.c.epoch.not_in(erased))
        with self._store.connect() as connection:
            return [Extent(*row) for row in connection.execute(query.order_by(extents.c.epoch, extents.c.level))]

    def of_epoch(self, dataset: str, epoch: int) -> list[Extent]:
        """Every level of an epoch that may hold data, whether it is to be erased or not."""
        columns = (extents.c.epoch, extents.c.level, extents.c.first_bucket, extents.c.last_bucket)
        query = select(*columns).where(extents.c.dataset == dataset, extents.c.epoch == epoch)
        with self._store.connect() as connection:
            return [Extent(*row) for row in connection.execute(query.order_by(extents.c.level))]

    def forget(self, dataset: str, epoch: int) -> None:
        """Drops what is in memory of an epoch that was erased."""
        with self._lock:
            for name in [name for name in self._known if name[:2] == (dataset, epoch)]:
                del self._known[name]

    def widen(self, dataset: str, found: list[Extent]) -> None:
        """Makes the extents durable, joined with what was known."""
        new = [extent for extent in found if not self._covers(dataset, extent)]
        if not new:
            return
        union = inserted_or(self._store.dialect, extents, _union)
        rows = [
            {
                "dataset": dataset,
                "epoch": extent.epoch,
                "level": extent.level,
                "first_bucket": extent.first,
                "last_bucket": extent.last,
            }
            for extent in new
        ]
        with writing(self._store) as connection:
            connection.execute(union, rows)
        self._remember(dataset)

    def _covers(self, dataset: str, extent: Extent) -> bool:
        with self._lock:
            first, last = self._known.get((dataset, extent.epoch, extent.level), (0, -1))
        return first <= extent.first and extent.last <= last

    def _remember(self, dataset: str) -> None:
        known = {(dataset, extent.epoch, extent.level): (extent.first, extent.last) for extent in self.extents(dataset)}
        with self._lock:
            self._known.update(known)


def _union(given: Columns) -> dict[str, ColumnElement[Any]]:
    stored = extents.c
    return {
        "first_bucket": case((given.first_bucket < stored.first_bucket, given.first_bucket), else_=stored.first_bucket),
        "last_bucket": case((given.last_bucket > stored.last_bucket, given.last_bucket), else_=stored.last_bucket),
    }
