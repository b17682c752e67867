"""The keyring: a random data key for each (data set, epoch), made on first write.

It is wrapped by a key-encryption key (KEK) of its own, which can be destroyed (`epoch_keys.py`), and by the master key.
Keys that are never erased are wrapped by the master key alone, and so are those from before there were KEKs, until
`adopt`.

Keys of different epochs are independent, so tags of one epoch say nothing about those of another, and an epoch whose
data key is destroyed is erased. An epoch's key may be renewed: the next generation is independent as well.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext, suppress
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select, update

from privacyplease.proxy.errors import KeyringError, KeyUnavailableError, TrustedStoreUnavailableError
from privacyplease.proxy.keys import wrapped_keys
from privacyplease.proxy.keys.derivation import DIGEST_LABEL, GroupKeys, Key, KeyId, expand
from privacyplease.proxy.keys.epoch_keys import EpochKeyHolder, EpochKeys
from privacyplease.proxy.keys.master_key import MasterKey
from privacyplease.proxy.keys.wrapped_keys import KeyName, WrappedKey, is_erasable, is_erased
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import backups, data_keys, master_keys
from privacyplease.proxy.trusted_store.upsert import upsert

_log = logging.getLogger(__name__)


class _Held(NamedTuple):
    """The master key in force and the folder that describes it."""

    master: MasterKey
    folder: str


class Keyring:
    """Creates, wraps and derives keys. Safe to use from many threads.

    Attributes:
        epoch_keys: The KEKs of its data keys.
    """

    def __init__(self, store: Engine, master: MasterKey, folder: str = "", epoch_keys: EpochKeys | None = None) -> None:
        """Initialises the keyring.

        Args:
            store: Holds the wrapped keys.
            master: The master key that wraps them.
            folder: The folder in the home that describes the master key (`rotation.py`).
            epoch_keys: The KEKs; None to wrap new keys by the master key alone.
        """
        self._store = store
        self.epoch_keys = epoch_keys or EpochKeys(store)
        self._held = _Held(master, folder)
        self._opened: dict[KeyName, Key] = {}
        self._current: dict[tuple[str, int], KeyId] = {}
        self._derived: dict[tuple[KeyName, str], GroupKeys] = {}
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

    def is_destroyed(self, owner: str, key: KeyId) -> bool:
        """Whether a data key that the store still has lies under a KEK that was destroyed.

        So it is in a store that was restored from a backup, if the key was erased after that.

        Raises:
            KeyringError: The holder of the KEK does not answer.
        """
        found = self._find(KeyName(owner, key))
        return found is not None and found.kek is not None and not self.epoch_keys.exists(found.kek)

    def forget(self, owner: str, key: KeyId) -> None:
        """Drops a destroyed key, and what was derived from it, from memory."""
        name = KeyName(owner, key)
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
        rewrapped: dict[KeyName, bytes] = {}
        self._rewrap(old, master, rewrapped)  # most of the work, done without holding the lock
        with self._lock:
            with writing(self._store) as connection:
                # The first statement writes, which locks out all other writers.
                put = upsert(self._store.dialect, master_keys, lambda new: {"folder": new.folder})
                connection.execute(put, {"one": 1, "folder": folder})
                self._rewrap(old, master, rewrapped, connection)
                for name, wrapped in rewrapped.items():
                    connection.execute(update(data_keys).where(*wrapped_keys.row(name)).values(wrapped=wrapped))
            self._held = new
        return len(rewrapped)

    def group_keys(self, dataset: str, key: KeyId, group: str) -> GroupKeys:
        """The keys of one group of columns in one epoch.

        Raises:
            KeyUnavailableError: The epoch has no such key, or it does not open under the master key.
        """
        name = KeyName(dataset, key)
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
            return expand(self._open(KeyName(owner, key)), label, owner)

    def hold_at(self, holder: EpochKeyHolder | None) -> int:
        """Puts a holder of KEKs in force, and moves data keys there, as `adopt` does."""
        self.epoch_keys.holder = holder
        return self.adopt()

    def adopt(self) -> int:
        """Gives each data key that may be erased a KEK at the current holder, unless it has one there.

        Such keys are from before there were KEKs, or from before the holder was replaced. One that cannot be moved
        stays as it is.

        Returns:
            How many were moved.
        """
        holder = self.epoch_keys.holder
        if holder is None:
            return 0
        with self._store.connect() as connection:
            stored = wrapped_keys.stored(connection)
        moved = 0
        try:
            for name, key in stored.items():
                if is_erasable(name.owner) and (key.kek is None or key.kek.place != holder.place):
                    with suppress(KeyUnavailableError):  # it opens no more, and is reported to whoever asks for it
                        moved += self._move(name, key)
            self.epoch_keys.destroy_replaced()
        except KeyringError as error:
            _log.warning("some data keys have no key-encryption key of their own yet: %s", error)
        return moved

    def _move(self, name: KeyName, before: WrappedKey) -> bool:
        """Wraps a data key by a new KEK; False if it was changed meanwhile."""
        held, moved = self._in_force(), False
        key = before.open(name, held.master, self.epoch_keys)
        kek = self.epoch_keys.make()
        try:
            after = WrappedKey.seal(name, key, held.master, self.epoch_keys, kek)
            with writing(self._store) as connection:
                found = wrapped_keys.stored(connection, *wrapped_keys.row(name)).get(name)
                if kek and found == before and _is_in_force(connection, held):
                    connection.execute(update(data_keys).where(*wrapped_keys.row(name)).values(wrapped=after.wrapped))
                    self.epoch_keys.put(connection, *name, kek)
                    moved = True
            return moved
        finally:
            if not moved:
                self.epoch_keys.discard(kek)

    def _make(self, owner: str, key: KeyId) -> KeyId:
        name = KeyName(owner, key)
        while not self._add(name, held := self._in_force()):
            if self._in_force() is held:
                raise KeyUnavailableError("another proxy has rotated the master key; restart this one")
        with self._lock:
            self._open(name)
            self._current[owner, key.epoch] = key
        return key

    def _add(self, name: KeyName, held: _Held) -> bool:
        """Adds a new data key unless there is one; False if the master key that wrapped it is no longer in force."""
        kek = self.epoch_keys.make() if is_erasable(name.owner) and self._find(name) is None else None
        added = False
        try:
            wrapped = WrappedKey.seal(name, Key.generate(), held.master, self.epoch_keys, kek).wrapped
            with writing(self._store) as connection:
                if not _is_in_force(connection, held):
                    return False
                if connection.execute(select(data_keys.c.epoch).where(*wrapped_keys.row(name))).first() is None:
                    if is_erased(connection, name):
                        raise TrustedStoreUnavailableError("a period was erased meanwhile; send the records again")
                    # Not before the last backup began, even if the clock was put back: that backup does not hold it.
                    backed_up_ms = connection.scalar(select(func.max(backups.c.begun_at_ms))) or 0
                    made_at = max(int(time.time() * 1_000), backed_up_ms)
                    columns = {"dataset": name.owner, "epoch": name.key.epoch, "generation": name.key.generation}
                    connection.execute(insert(data_keys), columns | {"wrapped": wrapped, "made_at": made_at})
                    if kek:
                        self.epoch_keys.put(connection, *name, kek)
                    added = True
            return True
        finally:
            if not added:
                self.epoch_keys.discard(kek)

    def _rewrap(
        self, old: MasterKey, new: MasterKey, rewrapped: dict[KeyName, bytes], connection: Connection | None = None
    ) -> None:
        """Adds to `rewrapped` each stored key that it lacks, wrapped anew, and removes those no longer stored."""
        with nullcontext(connection) if connection else self._store.connect() as reading:
            stored = wrapped_keys.stored(reading)
        for name, key in stored.items():
            if name not in rewrapped:
                rewrapped[name] = key.rewrap(name, old, new)
        for name in set(rewrapped) - set(stored):
            del rewrapped[name]

    def _in_force(self) -> _Held:
        with self._lock:
            return self._held

    def _open(self, name: KeyName) -> Key:
        """Opens a data key. The caller holds the lock, so that the row and the master key belong together."""
        if name not in self._opened:
            if (stored := self._find(name)) is None:
                raise KeyUnavailableError(f"data set {name.owner!r} has no key for epoch {name.key.epoch}")
            self._opened[name] = stored.open(name, self._held.master, self.epoch_keys)
        return self._opened[name]

    def _find(self, name: KeyName) -> WrappedKey | None:
        with self._store.connect() as connection:
            return wrapped_keys.stored(connection, *wrapped_keys.row(name)).get(name)


def _is_in_force(connection: Connection, held: _Held) -> bool:
    return (connection.scalar(select(master_keys.c.folder)) or "") == held.folder
