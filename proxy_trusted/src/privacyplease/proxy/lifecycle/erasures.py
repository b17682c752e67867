"""Which keys are erased, or about to be: what must never be asked for, stored or given a key again.

An erasure is resolved first, durably, and carried out then (`erasing.py`); from the resolution on the epoch is out of
reach. Nothing here can be taken back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, select, text, update

from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.keys.dead_letters import letters_of
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import CheckedBatch, Rejection, spans
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import data_keys, erasures
from privacyplease.proxy.trusted_store.upsert import inserted_once

ERASED = "expected a time in a period that was not erased"


class Erasure(NamedTuple):
    """A key that is erased, or about to be.

    Attributes:
        dataset: The data set.
        key: Which of its keys.
        erased_at: When it was destroyed, in ms since 1970; None while it is about to be.
    """

    dataset: str
    key: KeyId
    erased_at: int | None


class Erasures:
    """Remembers erasures. Safe to use from many threads.

    Each is of a key: one for an epoch, or one for each generation of its keys. An epoch whose old key was erased after
    its records went under a new one is not erased.
    """

    def __init__(self, store: Engine, *, alone: bool = True) -> None:
        """Stands on a store; `alone` says that no other proxy does, which may hold keys and batches of an epoch."""
        self._store = store
        self._alone = alone
        self._lock = threading.Lock()
        self._batches = Drain()
        self._known = {(erasure.dataset, erasure.key): erasure for erasure in self._load()}

    def of(self, dataset: str) -> list[Erasure]:
        """For each epoch of a data set that is erased as a whole, or about to be, its last erasure; ascending."""
        with self._lock:
            known = sorted(erasure for erasure in self._known.values() if erasure.dataset == dataset)
        if not known:
            return []
        live = {key.epoch for key in self.live(dataset)}
        last = {erasure.key.epoch: erasure for erasure in known if erasure.key.epoch not in live}
        return list(last.values())

    def live(self, dataset: str) -> list[KeyId]:
        """The keys of a data set that are not erased nor about to be, ascending."""
        query = select(data_keys.c.epoch, data_keys.c.generation).where(data_keys.c.dataset == dataset)
        with self._store.connect() as connection:
            stored = [KeyId(*row) for row in connection.execute(query)]
        with self._lock:
            return sorted(key for key in stored if (dataset, key) not in self._known)

    def require_alone(self) -> None:
        """Passes if no other proxy stands on the store.

        Raises:
            InvalidRequestError: Others may share it.
        """
        if not self._alone:
            raise InvalidRequestError(
                "expected a trusted store of this proxy alone: others would not know of an erasure"
            )

    def writing(self) -> AbstractContextManager[None]:
        """Stands around letting a batch in and submitting it: an erasure begins before that, or after."""
        return self._batches.passing()

    def settle(self) -> None:
        """Returns when every batch has been submitted that was let in before."""
        self._batches.clear()

    def unfinished(self) -> list[Erasure]:
        """Those that were resolved and not carried out, ascending."""
        with self._lock:
            return sorted(erasure for erasure in self._known.values() if erasure.erased_at is None)

    @contextmanager
    def resolving(self, dataset: str, keys: Sequence[KeyId]) -> Iterator[None]:
        """Stands around the resolution to erase keys: from its beginning on no batch is let in for what they seal.

        An error within it says that nothing was resolved.
        """
        with self._lock:
            added = [(dataset, key) for key in keys if (dataset, key) not in self._known]
            self._known |= {name: Erasure(*name, None) for name in added}
        try:
            yield
        except BaseException:
            with self._lock:
                for name in added:
                    del self._known[name]
            raise

    def note(self, connection: Connection, dataset: str, keys: Sequence[KeyId]) -> None:
        """Makes a resolution part of a transaction."""
        for epoch, generation in keys:
            row = {"dataset": dataset, "epoch": epoch, "generation": generation}
            connection.execute(inserted_once(self._store.dialect, erasures), row)

    def shred(self, dataset: str, key: KeyId, now: int) -> None:
        """Destroys a resolved key, and those of its epoch's dead letters if the epoch goes, so that nothing is left.

        The store overwrites what it deletes (SQLite's `secure_delete`), and its write-ahead log, where the rows may
        stand as well, is emptied.
        """
        doomed = [delete(data_keys).where(*_is(data_keys, dataset, key))]
        if key.epoch in {erasure.key.epoch for erasure in self.of(dataset)}:
            letters = data_keys.c.dataset == letters_of(dataset), data_keys.c.epoch == key.epoch
            doomed.append(delete(data_keys).where(*letters))
        done = update(erasures).where(*_is(erasures, dataset, key)).values(erased_at=now)
        with writing(self._store) as connection:
            for statement in (*doomed, done):
                connection.execute(statement)
        with self._store.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        with self._lock:
            self._known[dataset, key] = Erasure(dataset, key, now)

    def turn_away(self, checked: CheckedBatch, dataset: Dataset) -> CheckedBatch:
        """Rejects the records of erased epochs."""
        erased = [erasure.key.epoch for erasure in self.of(dataset.name)]
        if not erased:
            return checked
        starts, _ = spans(checked.records, dataset)
        late = np.isin(dataset.epochs(starts), erased)
        if not late.any():
            return checked
        rejected = {rejection.row for rejection in checked.rejections}
        total = len(checked.records) + len(rejected)
        rows = np.setdiff1d(np.arange(total), np.array(sorted(rejected), np.int64))[late]
        away = [Rejection(row, dataset.start, ERASED) for row in rows.tolist()]
        return CheckedBatch(checked.records.filter(pa.array(~late)), sorted([*checked.rejections, *away]))

    def _load(self) -> list[Erasure]:
        with self._store.connect() as connection:
            return [
                Erasure(row.dataset, KeyId(row.epoch, row.generation), row.erased_at)
                for row in connection.execute(select(erasures))
            ]


def _is(table: Table, dataset: str, key: KeyId) -> tuple[ColumnElement[bool], ...]:
    columns = table.c
    return columns.dataset == dataset, columns.epoch == key.epoch, columns.generation == key.generation
