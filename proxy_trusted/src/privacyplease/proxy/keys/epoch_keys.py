"""Key-encryption keys (KEKs): one for each data key that may be erased, which its holder can destroy.

::

    wrapped data key = master key( KEK( data key ) )

Rows of a database outlive their deletion: in dumps, logs, replicas and snapshots. So a row alone must not suffice. Its
KEK is held elsewhere, by a folder, a vault or an HSM (`EpochKeyHolder`), and once it is destroyed there, no copy of the
row opens any more, even with the master key.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update

from privacyplease.proxy.errors import KeyringError, KeyUnavailableError
from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.keys.master_key import MasterKey
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import epoch_keys

_log = logging.getLogger(__name__)


class EpochKeyHolder(Protocol):
    """Makes, uses and destroys KEKs."""

    @property
    def place(self) -> str:
        """Where the KEKs are, as the trusted store remembers it; it is not secret."""

    def make(self) -> str:
        """Makes a KEK, durably, and returns its name.

        Raises:
            KeyringError: The holder does not answer, or refuses.
        """

    def key(self, name: str) -> MasterKey:
        """A KEK, to wrap and unwrap with.

        Raises:
            KeyUnavailableError: There is no such KEK.
        """

    def exists(self, name: str) -> bool:
        """Whether there is such a KEK.

        Raises:
            KeyringError: The holder does not answer, or refuses.
        """

    def destroy(self, name: str) -> None:
        """Destroys a KEK for good. On return, it is known to be gone. Repeating the call is safe.

        Raises:
            KeyringError: The holder does not answer, or refuses.
        """


class EpochKey(NamedTuple):
    """A KEK.

    Attributes:
        place: Where it is: `EpochKeyHolder.place`.
        name: Its name there.
    """

    place: str
    name: str


class EpochKeys:
    """The KEKs that the trusted store knows. Safe to use from many threads."""

    def __init__(
        self, store: Engine, holder: EpochKeyHolder | None = None, reopen: Callable[[str], EpochKeyHolder] | None = None
    ) -> None:
        """Initialises the KEKs.

        Args:
            store: The trusted store.
            holder: Holds new KEKs; None to wrap data keys by the master key alone.
            reopen: Opens the holder of a place, for KEKs from before the holder was replaced.
        """
        self._store = store
        self._reopen = reopen
        self.holder = holder

    def make(self) -> EpochKey | None:
        """Makes a KEK; None if there is no holder.

        Raises:
            KeyringError: The holder does not answer, or refuses.
        """
        return EpochKey(self.holder.place, self.holder.make()) if self.holder else None

    def key(self, kek: EpochKey) -> MasterKey:
        """A KEK, to wrap and unwrap with.

        Raises:
            KeyUnavailableError: It was destroyed, or its holder is not known.
        """
        return self._at(kek.place).key(kek.name)

    def exists(self, kek: EpochKey) -> bool:
        """Whether a KEK has not been destroyed.

        Raises:
            KeyringError: Its holder does not answer, or is not known.
        """
        return self._at(kek.place).exists(kek.name)

    def discard(self, kek: EpochKey | None) -> None:
        """Destroys a KEK that wraps nothing. A failure only leaves it behind."""
        if kek:
            try:
                self._at(kek.place).destroy(kek.name)
            except KeyringError as error:
                _log.warning("an unused key-encryption key was left behind: %s", error)

    def put(self, connection: Connection, owner: str, key: KeyId, kek: EpochKey) -> None:
        """Notes the KEK of a data key within a transaction; one that it had is to be destroyed."""
        connection.execute(update(epoch_keys).where(*of(owner, key)).values(doomed=1))
        row = {"place": kek.place, "name": kek.name, "dataset": owner, **key._asdict(), "doomed": 0}
        connection.execute(insert(epoch_keys), row)

    def destroy_replaced(self) -> None:
        """Destroys KEKs that were replaced.

        Raises:
            KeyringError: A holder does not answer, or refuses.
        """
        self.destroy(epoch_keys.c.doomed == 1)

    def destroy(self, which: ColumnElement[bool]) -> None:
        """Destroys the KEKs of some rows, and then forgets them.

        Raises:
            KeyringError: A holder does not answer, or refuses. Its rows stay.
        """
        with self._store.connect() as connection:
            doomed = [EpochKey(row.place, row.name) for row in connection.execute(select(epoch_keys).where(which))]
        for kek in doomed:
            self._at(kek.place).destroy(kek.name)
            with writing(self._store) as connection:
                connection.execute(delete(epoch_keys).where(epoch_keys.c.name == kek.name))

    def _at(self, place: str) -> EpochKeyHolder:
        if self.holder and place == self.holder.place:
            return self.holder
        if self._reopen is None:
            raise KeyUnavailableError(f"the key-encryption keys at {place} are not known to this process")
        return self._reopen(place)


def of(owner: str, key: KeyId) -> tuple[ColumnElement[bool], ...]:
    """The rows of the KEKs of a data key."""
    column = epoch_keys.c
    return column.dataset == owner, column.epoch == key.epoch, column.generation == key.generation
