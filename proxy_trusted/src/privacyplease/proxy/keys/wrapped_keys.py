"""A data key as it is stored: wrapped by its KEK, if it has one, and then by the master key."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, select

from privacyplease.proxy.keys.derivation import Key, KeyId, context
from privacyplease.proxy.keys.epoch_keys import EpochKey, EpochKeys
from privacyplease.proxy.keys.master_key import MasterKey
from privacyplease.proxy.trusted_store.tables import data_keys, epoch_keys, erasures

# Of a data key that the master key alone wraps, and of one that has a KEK.
DATA_KEY_LABEL = b"privacyplease/v2/data"
ERASABLE_KEY_LABEL = b"privacyplease/v3/data"

_MANIFEST = "/manifest"


class KeyName(NamedTuple):
    """The name of a data key: its owner, a data set or another user of the keyring, and its id."""

    owner: str
    key: KeyId


class WrappedKey(NamedTuple):
    """A wrapped data key, and its KEK, if it has one."""

    wrapped: bytes
    kek: EpochKey | None

    @classmethod
    def seal(
        cls, name: KeyName, key: Key, master: MasterKey, epoch_keys: EpochKeys, kek: EpochKey | None
    ) -> WrappedKey:
        """Wraps a data key.

        Raises:
            KeyringError: A holder of keys does not answer, or refuses.
        """
        bound = associated(name, kek)
        inner = Key(epoch_keys.key(kek).wrap(key, bound)) if kek else key
        return cls(master.wrap(inner, bound), kek)

    def open(self, name: KeyName, master: MasterKey, epoch_keys: EpochKeys) -> Key:
        """Unwraps the data key.

        Raises:
            KeyringError: It does not open; or a holder of keys does not answer, or refuses.
        """
        bound = associated(name, self.kek)
        inner = master.unwrap(self.wrapped, bound)
        return epoch_keys.key(self.kek).unwrap(inner.reveal(), bound) if self.kek else inner

    def rewrap(self, name: KeyName, old: MasterKey, new: MasterKey) -> bytes:
        """The data key under another master key. Its KEK is not needed."""
        bound = associated(name, self.kek)
        return new.wrap(old.unwrap(self.wrapped, bound), bound)


def manifest_of(dataset: str) -> str:
    """The owner of the data key that seals a data set's manifest and outlives its epochs.

    It is not a valid name of a data set.
    """
    return f"{dataset}{_MANIFEST}"


def is_erasable(owner: str) -> bool:
    """Whether data keys of an owner are destroyed with their epoch: those of a data set, and of its dead letters."""
    return not owner.startswith("/") and not owner.endswith(_MANIFEST)


def associated(name: KeyName, kek: EpochKey | None = None) -> bytes:
    """Associated data that binds a wrapped key to its name and its KEK, so that no key can be swapped for another."""
    owner, key = name
    epoch, generation = key.epoch.to_bytes(8, "big", signed=True), key.generation.to_bytes(4, "big")
    if kek is None:
        return context(DATA_KEY_LABEL, owner, epoch, generation)
    return context(ERASABLE_KEY_LABEL, owner, epoch, generation, kek.name)


def stored(connection: Connection, *which: ColumnElement[bool]) -> dict[KeyName, WrappedKey]:
    """The stored data keys, or some of them; each with its KEK as of the same moment."""
    return {
        KeyName(row.dataset, KeyId(row.epoch, row.generation)): _wrapped(row)
        for row in connection.execute(_QUERY.where(*which))
    }


def row(name: KeyName) -> tuple[ColumnElement[bool], ...]:
    """The row of a data key."""
    column, key = data_keys.c, name.key
    return column.dataset == name.owner, column.epoch == key.epoch, column.generation == key.generation


def is_erased(connection: Connection, name: KeyName) -> bool:
    """Whether a key was erased, or is about to be, by this proxy or another: it is never used again."""
    column, key = erasures.c, name.key
    same = column.dataset == name.owner, column.epoch == key.epoch, column.generation == key.generation
    return connection.execute(select(column.epoch).where(*same)).first() is not None


def _wrapped(found: Row[Any]) -> WrappedKey:
    return WrappedKey(bytes(found.wrapped), EpochKey(found.place, found.name) if found.name else None)


def _query() -> Select[Any]:
    key, kek = data_keys.c, epoch_keys.c
    same = and_(kek.dataset == key.dataset, kek.epoch == key.epoch, kek.generation == key.generation, kek.doomed == 0)
    return select(data_keys, kek.place, kek.name).select_from(data_keys.outerjoin(epoch_keys, same))


_QUERY = _query()
