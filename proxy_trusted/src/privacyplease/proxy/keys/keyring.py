"""The keyring: a random data key for each (data set, epoch), made on first write and wrapped by the master key.

Keys of different epochs are independent, so tags of one epoch say nothing about those of another, and an epoch whose
data key is destroyed is erased. An epoch's key may be renewed: the next generation is independent as well.
"""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, func, select, update

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys.derivation import DIGEST_LABEL, GroupKeys, Key, KeyId, context, expand
from privacyplease.proxy.keys.master_key import MasterKey
from privacyplease.proxy.trusted_store.store import lock, writing
from privacyplease.proxy.trusted_store.tables import backups, data_keys, master_keys
from privacyplease.proxy.trusted_store.upsert import insert_if_absent, upsert

DATA_KEY_LABEL = b"privacyplease/v2/data"


class _Held(NamedTuple):
    """The master key in force and the folder that describes it."""

    master: MasterKey
    folder: str


class _Name(NamedTuple):
    """The name of a data key: its owner, a data set or another user of the keyring, and its id."""

    owner: str
    key: KeyId


class Keyring:
    """Creates, wraps and derives keys. Safe to use from many threads."""

    def __init__(self, store: Engine, master: MasterKey, folder: str = "") -> None:
        """Initialises the keyring.

        Args:
            store: Holds the wrapped keys.
            master: The master key that wraps them.
            folder: The folder in the home that describes the master key (`rotation.py`).
        """
        self._store = store
        self._held = _Held(master, folder)
        self._opened: dict[_Name, Key] = {}
        self._current: dict[tuple[str, int], KeyId] = {}
        self._derived: dict[tuple[_Name, str], GroupKeys] = {}
        self._lock = threading.Lock()

    def epochs(self, owner: str) -> list[int]:
        """The epochs that have a key, ascending."""
        return sorted({key.epoch for key in self.made(owner)})

    def generations(self, owner: str, epoch: int) -> list[KeyId]:
        """An epoch's keys, ascending: one, or more while it is being renewed."""
        return sorted(key for key in self.made(owner) if key.epoch == epoch)

    def made(self, owner: str) -> dict[KeyId, int]:
        """When each key was made, in ms since 1970."""
        column = data_keys.c
        query = select(column.epoch, column.generation, column.made_at).where(column.dataset == owner)
        with self._store.connect() as connection:
            return {KeyId(row.epoch, row.generation): row.made_at for row in connection.execute(query)}

    def forget(self, owner: str, key: KeyId) -> None:
        """Drops a destroyed key, and what was derived from it, from memory."""
        name = _Name(owner, key)
        with self._lock:
            if self._current.get((owner, key.epoch)) == key:
                del self._current[owner, key.epoch]
            self._opened.pop(name, None)
            for derived in [derived for derived in self._derived if derived[0] == name]:
                del self._derived[derived]

    def ensure(self, owner: str, epoch: int) -> KeyId:
        """Makes a durable data key for the epoch unless there is one. If two proxies do so at once, one wins.

        Returns:
            The key to seal new records of the epoch under.

        Raises:
            KeyUnavailableError: Another proxy has rotated the master key in the meantime.
        """
        with self._lock:
            current = self._current.get((owner, epoch))
        if current is not None:
            return current
        return self._make(owner, max(self.generations(owner, epoch), default=KeyId(epoch)))

    def renew(self, owner: str, epoch: int) -> KeyId:
        """Makes the next data key of an epoch, under which its records are sealed from now on.

        Raises:
            KeyUnavailableError: Another proxy has rotated the master key in the meantime.
        """
        newest = self.generations(owner, epoch)[-1]
        return self._make(owner, newest._replace(generation=newest.generation + 1))

    def rewrap(self, master: MasterKey, folder: str) -> int:
        """Wraps every data key under another master key and puts that in force, in one transaction.

        Args:
            master: The new master key.
            folder: The folder that describes it.

        Returns:
            How many data keys were wrapped.

        Raises:
            KeyUnavailableError: A data key does not open under the old master key. Nothing has changed.
        """
        old, new = self._held.master, _Held(master, folder)
        rewrapped: dict[_Name, bytes] = {}
        self._rewrap(old, master, rewrapped)  # most of the work, done without holding the lock
        with self._lock:
            with writing(self._store) as connection:
                # The first statement writes, which locks out all other writers.
                put = upsert(self._store.dialect, master_keys, lambda new: {"folder": new.folder})
                connection.execute(put, {"one": 1, "folder": folder})
                self._rewrap(old, master, rewrapped, connection)
                for name, wrapped in rewrapped.items():
                    connection.execute(update(data_keys).where(*_row(name)).values(wrapped=wrapped))
            self._held = new
        return len(rewrapped)

    def group_keys(self, dataset: str, key: KeyId, group: str) -> GroupKeys:
        """The keys of one group of columns in one epoch.

        Raises:
            KeyUnavailableError: The epoch has no such key, or it does not open under the master key.
        """
        name = _Name(dataset, key)
        with self._lock:
            if (name, group) not in self._derived:
                self._derived[name, group] = GroupKeys.derive(self._open(name), dataset, group)
            return self._derived[name, group]

    def digest_key(self, dataset: str, key: KeyId) -> Key:
        """The key of the digests that authenticate the cells of an epoch.

        Raises:
            KeyUnavailableError: As `group_keys`.
        """
        return self.derived(dataset, key, DIGEST_LABEL)

    def derived(self, owner: str, key: KeyId, label: bytes) -> Key:
        """A key for the purpose that the label names.

        Raises:
            KeyUnavailableError: As `group_keys`.
        """
        with self._lock:
            return expand(self._open(_Name(owner, key)), label, owner)

    def _make(self, owner: str, key: KeyId) -> KeyId:
        name = _Name(owner, key)
        while not self._add(name, held := self._in_force()):
            if self._in_force() is held:
                raise KeyUnavailableError("another proxy has rotated the master key; restart this one")
        with self._lock:
            self._open(name)
            self._current[owner, key.epoch] = key
        return key

    def _add(self, name: _Name, held: _Held) -> bool:
        """Adds a new data key unless there is one; False if the master key that wrapped it is no longer in force."""
        wrapped = held.master.wrap(Key.generate(), _associated(*name))
        columns = {"dataset": name.owner, "epoch": name.key.epoch, "generation": name.key.generation}
        with self._store.connect() as connection, connection.begin() as transaction:
            lock(connection)
            # Not before the last backup began, even if the clock was put back: that backup does not hold it.
            backed_up_ms = connection.scalar(select(func.max(backups.c.begun_at_ms))) or 0
            made_at = max(int(time.time() * 1_000), backed_up_ms)
            new = columns | {"wrapped": wrapped, "made_at": made_at}
            connection.execute(insert_if_absent(self._store.dialect, data_keys), new)
            in_force = connection.scalar(select(master_keys.c.folder)) or ""
            if in_force != held.folder:
                transaction.rollback()
            return in_force == held.folder

    def _rewrap(
        self, old: MasterKey, new: MasterKey, rewrapped: dict[_Name, bytes], connection: Connection | None = None
    ) -> None:
        """Adds to `rewrapped` each stored key that it lacks, wrapped anew, and removes those no longer stored."""
        with nullcontext(connection) if connection else self._store.connect() as reading:
            stored = {
                _Name(row.dataset, KeyId(row.epoch, row.generation)): bytes(row.wrapped)
                for row in reading.execute(select(data_keys))
            }
        for name, wrapped in stored.items():
            if name not in rewrapped:
                rewrapped[name] = new.wrap(old.unwrap(wrapped, _associated(*name)), _associated(*name))
        for name in set(rewrapped) - set(stored):
            del rewrapped[name]

    def _in_force(self) -> _Held:
        with self._lock:
            return self._held

    def _open(self, name: _Name) -> Key:
        """Opens a data key. The caller holds the lock, so that the row and the master key belong together."""
        if name not in self._opened:
            self._opened[name] = self._held.master.unwrap(self._wrapped(name), _associated(*name))
        return self._opened[name]

    def _wrapped(self, name: _Name) -> bytes:
        with self._store.connect() as connection:
            wrapped = connection.scalar(select(data_keys.c.wrapped).where(*_row(name)))
        if wrapped is None:
            raise KeyUnavailableError(f"data set {name.owner!r} has no key for epoch {name.key.epoch}")
        return bytes(wrapped)


def manifest_of(dataset: str) -> str:
    """The owner of the data key that seals a data set's manifest and outlives its epochs.

    It is not a valid name of a data set.
    """
    return f"{dataset}/manifest"


def _row(name: _Name) -> tuple[ColumnElement[bool], ...]:
    column, key = data_keys.c, name.key
    return column.dataset == name.owner, column.epoch == key.epoch, column.generation == key.generation


def _associated(owner: str, key: KeyId) -> bytes:
    """Associated data that binds a wrapped key to its name, so that no key can be swapped for another."""
    epoch, generation = key.epoch.to_bytes(8, "big", signed=True), key.generation.to_bytes(4, "big")
    return context(DATA_KEY_LABEL, owner, epoch, generation)
