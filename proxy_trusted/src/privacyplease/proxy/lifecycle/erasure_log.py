"""The erasure log: which keys are erased, or about to be.

An erased epoch must never be read, written or given a key again.

An erasure is first recorded, durably, and then carried out (`eraser.py`); once it is recorded the epoch is out of
reach. Nothing here can be undone.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, or_, select, update

from privacyplease.proxy.edge.drain import Drain
from privacyplease.proxy.errors import InvalidRequestError, KeyringError
from privacyplease.proxy.keys import wrapped_keys
from privacyplease.proxy.keys.dead_letters import letters_of
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.epoch_keys import EpochKeys
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKey
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import CheckedBatch, Rejection, spans
from privacyplease.proxy.trusted_store.shredding import is_gone
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import acknowledgements, data_keys, epoch_keys, erasures
from privacyplease.proxy.trusted_store.upsert import insert_if_absent

_log = logging.getLogger(__name__)

ERASED = "expected a time in a period that has not been erased"


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


class Cause(Enum):
    """Why a key that is about to be destroyed is not destroyed yet."""

    PENDING = "pending"
    PEER = "peer"
    HOLDER = "holder"
    READER = "reader"
    BARE = "bare"


class Obstacle(NamedTuple):
    """What keeps a key from being destroyed.

    Attributes:
        cause: Its kind.
        detail: A sentence for the operator.
    """

    cause: Cause
    detail: str


PENDING = Obstacle(Cause.PENDING, "it was not tried yet, or the storage server is unavailable")


class ErasureLog:
    """Records erasures. Safe to use from many threads.

    Each is of a key: one for an epoch, or one for each generation of its keys. An epoch whose old key was erased after
    its records were sealed under a new one is not erased.
    """

    def __init__(self, store: Engine, epoch_keys: EpochKeys | None = None, *, shared: bool = False) -> None:
        """Reads the log of a trusted store.

        Args:
            store: The trusted store.
            epoch_keys: The key-encryption keys of its data keys.
            shared: Whether other proxies may use it too, and hold keys and batches of an epoch.
        """
        self._store = store
        self._epoch_keys = epoch_keys or EpochKeys(store)
        self._shared = shared
        self._lock = threading.Lock()
        self._batches = Drain()
        # Wrapped keys that were deleted and may still be in the store's files.
        self._wrapped: dict[tuple[str, KeyId], list[bytes]] = {}
        self._obstacles: dict[tuple[str, KeyId], Obstacle] = {}
        self._known = {(erasure.dataset, erasure.key): erasure for erasure in self._load()}

    def of(self, dataset: str) -> list[Erasure]:
        """The last erasure of each epoch of a data set that is erased as a whole, or about to be; ascending."""
        with self._lock:
            known = sorted(erasure for erasure in self._known.values() if erasure.dataset == dataset)
        if not known:
            return []
        live = {key.epoch for key in self.live(dataset)}
        last = {erasure.key.epoch: erasure for erasure in known if erasure.key.epoch not in live}
        return list(last.values())

    def live(self, dataset: str) -> list[KeyId]:
        """The keys of a data set that are neither erased nor about to be, ascending."""
        query = select(data_keys.c.epoch, data_keys.c.generation).where(data_keys.c.dataset == dataset)
        with self._store.connect() as connection:
            stored = [KeyId(*row) for row in connection.execute(query)]
        with self._lock:
            return sorted(key for key in stored if (dataset, key) not in self._known)

    def require_destroyable(self) -> None:
        """Passes if keys can be destroyed.

        Raises:
            InvalidRequestError: The store is shared, so that copies of its rows are out of reach, and no holder of
                key-encryption keys was chosen.
        """
        if self._shared and self._epoch_keys.holder is None:
            raise InvalidRequestError(
                "expected key-encryption keys, since proxies share the trusted store: start them with --epoch-keys"
            )

    def recorded(self) -> list[Erasure]:
        """The erasures of all proxies that were recorded and not carried out, ascending."""
        return sorted(erasure for erasure in self._load() if erasure.erased_at is None)

    def refresh(self) -> list[Erasure]:
        """Reads what other proxies recorded or carried out, and returns it."""
        loaded = {(erasure.dataset, erasure.key): erasure for erasure in self._load()}
        with self._lock:
            new = [erasure for name, erasure in loaded.items() if self._known.get(name) != erasure]
            self._known |= loaded
        return new

    def writing(self) -> AbstractContextManager[None]:
        """Encloses admitting and submitting a batch: an erasure is recorded before both or after both."""
        return self._batches.passing()

    def wait_for_batches(self) -> None:
        """Returns when every batch that was admitted before has been submitted."""
        self._batches.clear()

    def unfinished(self) -> list[Erasure]:
        """The erasures that were recorded and not carried out, ascending."""
        with self._lock:
            return sorted(erasure for erasure in self._known.values() if erasure.erased_at is None)

    def destroyed(self) -> list[DestroyedKey]:
        """The keys that are destroyed, as the list of destroyed keys has them; ascending."""
        with self._lock:
            known = sorted(erasure for erasure in self._known.values() if erasure.erased_at is not None)
        return [self.listed(erasure.dataset, erasure.key) for erasure in known]

    def listed(self, dataset: str, key: KeyId) -> DestroyedKey:
        """A key as the list of destroyed keys has it."""
        return DestroyedKey(dataset, key, any(live.epoch == key.epoch for live in self.live(dataset)))

    def obstacle(self, dataset: str, key: KeyId) -> Obstacle:
        """Why a key that is about to be destroyed is not destroyed yet."""
        with self._lock:
            return self._obstacles.get((dataset, key), PENDING)

    @contextmanager
    def recording(self, dataset: str, keys: Sequence[KeyId]) -> Iterator[None]:
        """Encloses recording the erasure of keys: from its beginning on, no batch is admitted for what they seal.

        An error within the block means that nothing was recorded.
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

    def record(self, connection: Connection, dataset: str, keys: Sequence[KeyId]) -> None:
        """Records the erasure of keys within a transaction."""
        for epoch, generation in keys:
            row = {"dataset": dataset, "epoch": epoch, "generation": generation}
            connection.execute(insert_if_absent(self._store.dialect, erasures), row)

    def shred(self, dataset: str, key: KeyId, now: int) -> bool:
        """Destroys a key whose erasure is recorded; if its epoch is erased, the keys of its dead letters too.

        Returns:
            Whether nothing of them is left. If not, the key is still about to be destroyed: `obstacle` says why; shred
            it again.
        """
        with writing(self._store) as connection:
            doomed = self._doomed(data_keys, dataset, key)
            bare = [wrapped for wrapped in wrapped_keys.stored(connection, doomed).values() if wrapped.kek is None]
            if bare and self._shared:
                return self.postpone(dataset, key, Cause.BARE, "it has no key-encryption key yet; restart a proxy")
            wrapped = self._wrapped.setdefault((dataset, key), [])
            wrapped += connection.scalars(select(data_keys.c.wrapped).where(doomed))
            connection.execute(delete(data_keys).where(doomed))
        try:
            self._epoch_keys.destroy(self._doomed(epoch_keys, dataset, key))
        except KeyringError as error:
            return self.postpone(dataset, key, Cause.HOLDER, str(error))
        if not is_gone(self._store, wrapped):
            reader = "something reads the files of the trusted store, which may still have the key"
            return self.postpone(dataset, key, Cause.READER, reader)
        with writing(self._store) as connection:
            connection.execute(update(erasures).where(*_is(erasures, dataset, key)).values(erased_at=now))
            connection.execute(delete(acknowledgements).where(*_is(acknowledgements, dataset, key)))
        with self._lock:
            self._known[dataset, key] = Erasure(dataset, key, now)
            del self._wrapped[dataset, key]
            self._obstacles.pop((dataset, key), None)
        return True

    def postpone(self, dataset: str, key: KeyId, cause: Cause, detail: str) -> bool:
        """Notes why a key is not destroyed yet. Returns False."""
        _log.warning("data set %s: a key is not destroyed yet: %s", dataset, detail)
        with self._lock:
            self._obstacles[dataset, key] = Obstacle(cause, detail)
        return False

    def reject_erased(self, checked: CheckedBatch, dataset: Dataset) -> CheckedBatch:
        """Rejects the records of erased epochs."""
        erased = [erasure.key.epoch for erasure in self.of(dataset.name)]
        if not erased:
            return checked
        starts, _ = spans(checked.records, dataset)
        in_erased = np.isin(dataset.epochs(starts), erased)
        if not in_erased.any():
            return checked
        rejected = {rejection.row for rejection in checked.rejections}
        total = len(checked.records) + len(rejected)
        rows = np.setdiff1d(np.arange(total), np.array(sorted(rejected), np.int64))[in_erased]
        added = [Rejection(row, dataset.start, ERASED) for row in rows.tolist()]
        return CheckedBatch(checked.records.filter(pa.array(~in_erased)), sorted([*checked.rejections, *added]))

    def _doomed(self, table: Table, dataset: str, key: KeyId) -> ColumnElement[bool]:
        """The rows that go with a key; if its epoch is erased, those of its dead letters too."""
        letters = and_(table.c.dataset == letters_of(dataset), table.c.epoch == key.epoch)
        erased = key.epoch in {erasure.key.epoch for erasure in self.of(dataset)}
        mine = and_(*_is(table, dataset, key))
        return or_(mine, letters) if erased else mine

    def _load(self) -> list[Erasure]:
        with self._store.connect() as connection:
            return [
                Erasure(row.dataset, KeyId(row.epoch, row.generation), row.erased_at)
                for row in connection.execute(select(erasures))
            ]


def _is(table: Table, dataset: str, key: KeyId) -> tuple[ColumnElement[bool], ...]:
    columns = table.c
    return columns.dataset == dataset, columns.epoch == key.epoch, columns.generation == key.generation
