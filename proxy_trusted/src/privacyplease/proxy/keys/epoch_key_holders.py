"""Who holds the key-encryption keys of a home: a folder, or else whoever holds the master key."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError
from privacyplease.proxy.keys import providers
from privacyplease.proxy.keys.epoch_key_files import SCHEME, EpochKeyFiles
from privacyplease.proxy.keys.epoch_keys import EpochKeyHolder, EpochKeys
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.trusted_store.tables import epoch_keys


@dataclass(frozen=True)
class EpochKeyHolders:
    """Opens holders of key-encryption keys.

    Attributes:
        home: The proxy's home.
        folder: The folder that was chosen for them; None if none was.
        shared: Whether other proxies share the trusted store.
    """

    home: Home
    folder: Path | None = None
    shared: bool = False

    def open(self, store: Engine, choice: str) -> EpochKeys:
        """The key-encryption keys of a trusted store, given who holds the master key.

        Raises:
            ConfigurationError: The store names another folder of them: this one is not mounted, or was lost.
            ProxyError: As `beside`.
        """
        holder = self.beside(choice)
        column = epoch_keys.c.place
        with store.connect() as connection:
            places = set(connection.scalars(select(column).where(column.startswith(f"{SCHEME}:")).distinct()))
        if holder and holder.place.startswith(f"{SCHEME}:") and places - {holder.place}:
            raise ConfigurationError(
                f"{self._folder}: expected the folder of key-encryption keys that the trusted store names; "
                "mount or restore it; to move it, copy all of its files"
            )
        return EpochKeys(store, holder, self.at)

    def beside(self, choice: str) -> EpochKeyHolder | None:
        """The holder of new keys, given who holds the master key.

        AWS KMS keeps a key for at least 7 days after its deletion was asked for, and charges for each: a folder is used
        instead. None if proxies share the trusted store and no place for keys: then epochs cannot be erased.

        Raises:
            ConfigurationError: The folder cannot be used.
            KeyringError: The holder does not answer, or refuses.
        """
        if self.folder is None and (holder := providers.open_epoch_keys(choice, os.environ)):
            return holder
        if self.folder is None and self.shared:
            return None
        return self._files

    def at(self, place: str) -> EpochKeyHolder:
        """The holder of a place (`EpochKeyHolder.place`).

        Raises:
            KeyUnavailableError: It is not known here, or cannot be used.
        """
        try:
            holder = self._files if place.startswith(f"{SCHEME}:") else providers.open_epoch_keys(place, os.environ)
        except ConfigurationError as error:
            raise KeyUnavailableError(f"the key-encryption keys at {place} are out of reach: {error}") from error
        if holder is None or holder.place != place:
            raise KeyUnavailableError(f"expected the key-encryption keys at {place}, got another folder of them")
        return holder

    @property
    def _files(self) -> EpochKeyHolder:
        return EpochKeyFiles(self._folder)

    @property
    def _folder(self) -> Path:
        return self.folder or self.home.epoch_keys


def check(holder: EpochKeyHolder) -> None:
    """Makes, uses and destroys a key, so that a missing permission is found before the first record.

    Raises:
        KeyringError: The holder cannot do so.
    """
    name = holder.make()
    try:
        providers.check(holder.key(name))
    finally:
        holder.destroy(name)
