"""Rotation of the master key: every data key is wrapped anew, and no cell is touched.

A master key is described by a folder: at first the home itself, after a rotation `master-…` in it. The trusted store
says which folder is in force, beside the wrapped keys, and changes it in the transaction that wraps them anew. So at
every moment, and after a crash at any, exactly one master key opens everything, and the proxy knows which:

1. the folder of the new master key is made durable;
2. in one transaction of the trusted store, every data key is wrapped by the new master key and its folder put in force;
3. the files that describe the old master key are deleted, by the next start if a crash prevents it now.

The keys between both (`epoch_keys.py`) stay, unless the new master key's holder holds such keys itself and the old ones
are elsewhere: then data keys get new ones there, and the old ones are destroyed, by the next start after a crash.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
from pathlib import Path

from sqlalchemy import Engine, select

from privacyplease.proxy.errors import ConfigurationError, InvalidRequestError
from privacyplease.proxy.keys import providers as masterkeys
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders
from privacyplease.proxy.keys.home import MASTER_FILES, Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import MasterKey, write_secret
from privacyplease.proxy.trusted_store.tables import master_keys

_FOLDERS = "master-*"


class Rotation:
    """Knows which master key is in force, and replaces it."""

    def __init__(self, home: Home, store: Engine, keyring: Keyring, holders: EpochKeyHolders | None = None) -> None:
        """Initialises the rotation.

        Args:
            home: The proxy's home.
            store: The trusted store.
            keyring: The keys.
            holders: Opens holders of key-encryption keys; None for the folder in the home.
        """
        self._home = home
        self._store = store
        self._keyring = keyring
        self._holders = holders or EpochKeyHolders(home)
        self._lock = threading.Lock()
        self._clear_away(folder_in_force(store))

    @property
    def choice(self) -> str:
        """Who holds the master key in force; it is not secret."""
        return described_by(self._home, folder_in_force(self._store)).master_key_choice

    def rotate(self, name: str, passphrase: str | None) -> int:
        """Puts a new master key in force.

        Args:
            name: Who holds it: an entry of the home's `allowed-master-keys.toml`, or "passphrase".
            passphrase: Its passphrase, if it has one; None to generate one and keep it in the home.

        Returns:
            How many data keys were wrapped anew.

        Raises:
            InvalidRequestError: There is no such entry, or its library is not installed.
            KeyringError: The old master key does not open a data key, or the new one cannot be used. The old one stays
                in force.
        """
        with self._lock:
            folder = f"master-{secrets.token_hex(8)}"
            try:
                master = self._make(folder, name, passphrase)
                holder = self._holders.beside(described_by(self._home, folder).master_key_choice)
                keys = self._keyring.rewrap(master, folder)
                self._keyring.hold_at(holder)
            finally:
                self._clear_away(folder_in_force(self._store))
        return keys

    def _make(self, folder: str, name: str, passphrase: str | None) -> MasterKey:
        new = Home(self._home.path / folder)
        new.path.mkdir(mode=0o700)
        try:
            choice = self._home.master_key_named(name)
            if choice != masterkeys.PASSPHRASE:
                write_secret(new.path / "master.toml", f"master_key = {json.dumps(choice)}\n")
            master = new.master_key(passphrase)
        except ConfigurationError as error:
            raise InvalidRequestError(str(error), field="master_key") from error
        _make_durable(self._home.path)
        return master

    def _clear_away(self, in_force: str) -> None:
        """Deletes the files of master keys that are not in force."""
        for folder in self._home.path.glob(_FOLDERS):
            if folder.name != in_force:
                shutil.rmtree(folder)
        if in_force:
            for name in MASTER_FILES:
                (self._home.path / name).unlink(missing_ok=True)


def folder_in_force(store: Engine) -> str:
    """The name of the folder that describes the master key; "" for the home itself."""
    with store.connect() as connection:
        return str(connection.scalar(select(master_keys.c.folder)) or "")


def described_by(home: Home, folder: str) -> Home:
    """The folder as a home, which has only the files of a master key."""
    return Home(home.path / folder) if folder else home


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
