"""The keyring: a random data key for each (data set, epoch), made on first write, wrapped by the master key.

Keys of different epochs are independent, so tags and bins of one epoch say nothing about those of another, and an epoch
whose data key is destroyed is erased.
"""

from __future__ import annotations

import threading

from sqlalchemy import Engine, select
from sqlalchemy.dialects.sqlite import insert

from privacyplease.proxy.errors import KeyUnavailableError
from privacyplease.proxy.keys import IndexKeys, Key, context, expand
from privacyplease.proxy.masterkey import MasterKey
from privacyplease.proxy.trusted_store import data_keys

DATA_KEY_LABEL = b"privacyplease/v1/data"


class Keyring:
    """Gives the keys of an index in an epoch. Safe to use from many threads."""

    def __init__(self, store: Engine, master: MasterKey) -> None:
        self._store = store
        self._master = master
        self._opened: dict[tuple[str, int], Key] = {}
        self._derived: dict[tuple[str, int, str], IndexKeys] = {}
        self._lock = threading.Lock()

    def epochs(self, dataset: str) -> list[int]:
        """The epochs that have a key, ascending."""
        query = select(data_keys.c.epoch).where(data_keys.c.dataset == dataset).order_by(data_keys.c.epoch)
        with self._store.connect() as connection:
            return list(connection.scalars(query))

    def ensure(self, dataset: str, epoch: int) -> None:
        """Makes the epoch's data key durable unless there is one. Of two proxies that try at once, one wins."""
        if (dataset, epoch) in self._opened:
            return
        wrapped = self._master.wrap(Key.generate(), _associated(dataset, epoch))
        row = insert(data_keys).values(dataset=dataset, epoch=epoch, wrapped=wrapped).on_conflict_do_nothing()
        with self._store.begin() as connection:
            connection.execute(row)
        self._open(dataset, epoch)

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

    def _open(self, dataset: str, epoch: int) -> Key:
        if (dataset, epoch) not in self._opened:
            self._opened[dataset, epoch] = self._master.unwrap(
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
