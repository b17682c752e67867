"""Which epochs are erased, or about to be: what must never be asked for, stored or given a key again.

An erasure is resolved first, durably, and carried out then (`erasing.py`); from the resolution on the epoch is out of
reach. Nothing here can be taken back.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import Engine, delete, select, text, update

from privacyplease.proxy import holdings
from privacyplease.proxy.edge.drain import Turnstile
from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.keys.dead_letters import letters_of
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import Checked, Rejection, spans
from privacyplease.proxy.records.timeline import GENERATION
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.upsert import inserted_once

ERASED = "expected a time in a period that was not erased"


class Erasure(NamedTuple):
    """An epoch that is erased, or about to be.

    Attributes:
        dataset: The data set.
        epoch: The epoch.
        erased_at: When its key was destroyed, in ms since 1970; None while it is about to be.
    """

    dataset: str
    epoch: int
    erased_at: int | None


class Erasures:
    """Remembers erasures. Safe to use from many threads.

    Rows are of keys, by their numbers: one for an epoch, or one for each generation of its keys. An epoch whose old key
    was erased after its records went under a new one is not erased.
    """

    def __init__(self, store: Engine, *, alone: bool = True) -> None:
        """Stands on a store; `alone` says that no other proxy does, which may hold keys and batches of an epoch."""
        self._store = store
        self._alone = alone
        self._lock = threading.Lock()
        self._batches = Turnstile()
        self._known = {(erasure.dataset, erasure.epoch): erasure for erasure in self._load()}

    def of(self, dataset: str) -> list[Erasure]:
        """The epochs of a data set that are erased as a whole, or about to be, ascending."""
        with self._lock:
            known = [erasure for erasure in self._known.values() if erasure.dataset == dataset]
        by_epoch: dict[int, list[Erasure]] = {}
        for erasure in sorted(known, key=lambda erasure: erasure.epoch):
            by_epoch.setdefault(erasure.epoch % GENERATION, []).append(erasure)
        live = {number % GENERATION for number in self.live(dataset)}
        return [last[-1]._replace(epoch=epoch) for epoch, last in sorted(by_epoch.items()) if epoch not in live]

    def live(self, dataset: str) -> list[int]:
        """The numbers of the keys of a data set that are not erased nor about to be, ascending."""
        keys = trusted_store.data_keys.c
        with self._store.connect() as connection:
            stored = set(connection.scalars(select(keys.epoch).where(keys.dataset == dataset)))
        with self._lock:
            return sorted(number for number in stored if (dataset, number) not in self._known)

    def require_alone(self) -> None:
        """Passes if no other proxy stands on the store.

        Raises:
            InvalidRequestError: Others may share it.
        """
        if not self._alone:
            raise InvalidRequestError(
                "expected a trusted store of this proxy alone: others would not know of an erasure"
            )

    def settle(self) -> None:
        """Returns when no batch is being written that was let in before."""
        self._batches.clear()

    def unfinished(self) -> list[Erasure]:
        """Those that were resolved and not carried out."""
        with self._lock:
            return [erasure for erasure in self._known.values() if erasure.erased_at is None]

    def resolve(self, dataset: str, epoch: int) -> None:
        """Puts an epoch out of reach, durably. Returns when no batch is being written that was let in before.

        Raises:
            InvalidRequestError: Other proxies may share the store. Nothing has changed.
        """
        self.require_alone()
        row = {"dataset": dataset, "epoch": epoch}
        with trusted_store.writing(self._store) as connection:
            connection.execute(inserted_once(self._store.dialect, trusted_store.erasures), row)
        with self._lock:
            self._known.setdefault((dataset, epoch), Erasure(dataset, epoch, None))
        self._batches.clear()

    def shred(self, dataset: str, epoch: int, now: int) -> None:
        """Destroys a resolved key, and those of its epoch's dead letters if the epoch goes, so that nothing is left.

        The store overwrites what it deletes (SQLite's `secure_delete`), and its write-ahead log, where the rows may
        stand as well, is emptied.
        """
        keys, erasures = trusted_store.data_keys.c, trusted_store.erasures.c
        doomed = delete(trusted_store.data_keys).where(keys.dataset == dataset, keys.epoch == epoch)
        whole = epoch % GENERATION in {erasure.epoch for erasure in self.of(dataset)}
        letters = keys.dataset == letters_of(dataset), keys.epoch == epoch % GENERATION
        with self._store.begin() as connection:
            connection.execute(doomed)
            if whole:
                connection.execute(delete(trusted_store.data_keys).where(*letters))
            holdings.forget(connection, dataset, epoch)
            done = update(trusted_store.erasures).where(erasures.dataset == dataset, erasures.epoch == epoch)
            connection.execute(done.values(erased_at=now))
        with self._store.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        with self._lock:
            self._known[dataset, epoch] = Erasure(dataset, epoch, now)

    def writing(self) -> AbstractContextManager[None]:
        """Stands around letting a batch in and sending it off: an erasure begins before that, or after."""
        return self._batches.passing()

    def turn_away(self, checked: Checked, dataset: Dataset) -> Checked:
        """Rejects the records of erased epochs."""
        erased = [erasure.epoch for erasure in self.of(dataset.name)]
        starts, _ = spans(checked.records, dataset)
        late = np.isin(dataset.timeline.epochs(starts), erased)
        if not late.any():
            return checked
        rejected = {rejection.row for rejection in checked.rejections}
        total = len(checked.records) + len(rejected)
        rows = np.setdiff1d(np.arange(total), np.array(sorted(rejected), np.int64))[late]
        away = [Rejection(row, dataset.start, ERASED) for row in rows.tolist()]
        return Checked(checked.records.filter(pa.array(~late)), sorted([*checked.rejections, *away]))

    def _load(self) -> list[Erasure]:
        with self._store.connect() as connection:
            return [Erasure(*row) for row in connection.execute(select(trusted_store.erasures))]
