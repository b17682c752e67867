"""The keyring: a random data key for each (data set, epoch), made on first write, wrapped by the master key.

Keys of different epochs are independent, so tags and bins of one epoch say nothing about those of another, and an epoch
whose data key is destroyed is erased.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select, update

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys.derivation import IndexKeys, Key, context, expand
from privacyplease.proxy.keys.master_key import MasterKey
from privacyplease.proxy.records.timeline import GENERATION
from privacyplease.proxy.trusted_store.store import data_keys, lock, master_keys, writing
from privacyplease.proxy.trusted_store.upsert import inserted_once, inserted_or

DATA_KEY_LABEL = b"privacyplease/v1/data"


class _Held(NamedTuple):
    """A master key and the folder that describes it."""

    master: MasterKey
    folder: str


class Keyring:
    """Gives the keys of an index in an epoch. Safe to use from many threads."""

    def __init__(self, store: Engine, master: MasterKey, folder: str = "") -> None:
        """Stands on a store.

        Args:
            store: Where the wrapped keys are.
            master: What wraps them.
            folder: What describes it in the home, which see (`rotation.py`).
        """
        self._store = store
        self._held = _Held(master, folder)
        self._opened: dict[tuple[str, int], Key] = {}
        self._current: dict[tuple[str, int], int] = {}
        self._derived: dict[tuple[str, int, str], IndexKeys] = {}
        self._lock = threading.Lock()

    def epochs(self, dataset: str) -> list[int]:
        """The epochs that have a key, ascending."""
        return sorted({generation % GENERATION for generation in self.made(dataset)})

    def generations(self, dataset: str, epoch: int) -> list[int]:
        """The numbers of an epoch's keys, ascending: one, or more while it is being renewed (`renewing.py`)."""
        return sorted(generation for generation in self.made(dataset) if generation % GENERATION == epoch)

    def made(self, dataset: str) -> dict[int, int | None]:
        """When each key was made, by its number, in ms since 1970; None where that is not known."""
        query = select(data_keys.c.epoch, data_keys.c.made_at).where(data_keys.c.dataset == dataset)
        with self._store.connect() as connection:
            return {row.epoch: row.made_at for row in connection.execute(query)}

    def forget(self, dataset: str, epoch: int) -> None:
        """Drops what is in memory of a key that was destroyed, by its number."""
        with self._lock:
            if self._current.get((dataset, epoch % GENERATION)) == epoch:
                del self._current[dataset, epoch % GENERATION]
            self._opened.pop((dataset, epoch), None)
            for name in [name for name in self._derived if name[:2] == (dataset, epoch)]:
                del self._derived[name]

    def ensure(self, dataset: str, epoch: int) -> int:
        """Makes the epoch's data key durable unless there is one. Of two proxies that try at once, one wins.

        Returns:
            The number of the key to seal new records of the epoch under.

        Raises:
            KeyUnavailableError: Another proxy has rotated the master key meanwhile.
        """
        with self._lock:
            current = self._current.get((dataset, epoch))
        if current is not None:
            return current
        return self._make(dataset, max(self.generations(dataset, epoch), default=epoch))

    def renew(self, dataset: str, epoch: int) -> int:
        """Makes the next data key of an epoch, under which its records are sealed from now on; returns its number.

        Raises:
            KeyUnavailableError: Another proxy has rotated the master key meanwhile.
        """
        return self._make(dataset, self.generations(dataset, epoch)[-1] + GENERATION)

    def rewrap(self, master: MasterKey, folder: str) -> int:
        """Wraps every data key by another master key and puts that in force, in one transaction.

        Args:
            master: The new master key.
            folder: What describes it.

        Returns:
            How many keys there were.

        Raises:
            KeyUnavailableError: A key does not open under the old master key. Nothing has changed.
        """
        old, new = self._held.master, _Held(master, folder)
        rewrapped: dict[tuple[str, int], bytes] = {}
        self._rewrap(old, master, rewrapped)  # most of the work; nobody is held up by it
        with self._lock:
            with writing(self._store) as connection:
                # The first statement writes: from here on nobody else does.
                put = inserted_or(self._store.dialect, master_keys, lambda given: {"folder": given.folder})
                connection.execute(put, {"one": 1, "folder": folder})
                self._rewrap(old, master, rewrapped, connection)
                for (dataset, epoch), wrapped in rewrapped.items():
                    row = update(data_keys).where(data_keys.c.dataset == dataset, data_keys.c.epoch == epoch)
                    connection.execute(row.values(wrapped=wrapped))
            self._held = new
        return len(rewrapped)

    def keys(self, dataset: str, epoch: int, index: str) -> IndexKeys:
        """The keys of one index in one epoch.

        Raises:
            KeyUnavailableError: The epoch has no key, or its key does not open under the master key.
        """
        with self._lock:
            name = (dataset, epoch, index)
            if name not in self._derived:
                self._derived[name] = IndexKeys.derive(self._open(dataset, epoch), dataset, index)
            return self._derived[name]

    def derived(self, owner: str, epoch: int, label: bytes) -> Key:
        """A key for one purpose, of an owner that is no index.

        Raises:
            KeyUnavailableError: As `keys`.
        """
        with self._lock:
            return expand(self._open(owner, epoch), label, owner)

    def _make(self, dataset: str, number: int) -> int:
        while not self._add(dataset, number, held := self._in_force()):
            if self._in_force() is held:
                raise KeyUnavailableError("another proxy has rotated the master key; start this one again")
        with self._lock:
            self._open(dataset, number)
            self._current[dataset, number % GENERATION] = number
        return number

    def _add(self, dataset: str, epoch: int, held: _Held) -> bool:
        """Adds a new data key unless there is one; False if the master key that wrapped it is no longer in force."""
        wrapped = held.master.wrap(Key.generate(), _associated(dataset, epoch))
        new = {"dataset": dataset, "epoch": epoch, "wrapped": wrapped, "made_at": int(time.time() * 1_000)}
        with self._store.connect() as connection, connection.begin() as transaction:
            lock(connection)
            connection.execute(inserted_once(self._store.dialect, data_keys), new)
            in_force = connection.scalar(select(master_keys.c.folder)) or ""
            if in_force != held.folder:
                transaction.rollback()
            return in_force == held.folder

    def _rewrap(
        self,
        old: MasterKey,
        new: MasterKey,
        rewrapped: dict[tuple[str, int], bytes],
        connection: Connection | None = None,
    ) -> None:
        """Wraps anew what is stored and not in `rewrapped` yet, and drops from it what is stored no more."""
        query = select(data_keys.c.dataset, data_keys.c.epoch, data_keys.c.wrapped)
        with nullcontext(connection) if connection else self._store.connect() as reading:
            stored = {(row.dataset, row.epoch): bytes(row.wrapped) for row in reading.execute(query)}
        for place, wrapped in stored.items():
            if place not in rewrapped:
                rewrapped[place] = new.wrap(old.unwrap(wrapped, _associated(*place)), _associated(*place))
        for place in set(rewrapped) - set(stored):
            del rewrapped[place]

    def _in_force(self) -> _Held:
        with self._lock:
            return self._held

    def _open(self, dataset: str, epoch: int) -> Key:
        """The lock is held: the row and the master key belong together."""
        if (dataset, epoch) not in self._opened:
            self._opened[dataset, epoch] = self._held.master.unwrap(
                self._wrapped(dataset, epoch), _associated(dataset, epoch)
            )
        return self._opened[dataset, epoch]

    def _wrapped(self, dataset: str, epoch: int) -> bytes:
        query = select(data_keys.c.wrapped).where(data_keys.c.dataset == dataset, data_keys.c.epoch == epoch)
        with self._store.connect() as connection:
            wrapped = connection.scalar(query)
        if wrapped is None:
            raise KeyUnavailableError(f"data set {dataset!r} has no key for epoch {epoch}")
        return bytes(wrapped)


def _associated(dataset: str, epoch: int) -> bytes:
    """What binds a wrapped key to its place, so that keys cannot be swapped between data sets or epochs."""
    return context(DATA_KEY_LABEL, dataset, epoch.to_bytes(8, "big", signed=True))
