"""The proxy's home: a folder in the trusted domain with its keys, its own store and the operator's data sets.

::

    home/
    ├── master.toml     only where somebody else holds the master key: who (`master_key = "vault:…"`)
    ├── master.key      the master key, opened by the passphrase
    ├── passphrase      only where nobody gave one: made on first use, for its owner's eyes alone
    ├── master-…/       after a rotation: the three above, of the master key in force (`rotation.py`)
    ├── restored.json   only after a restore or a roll-back, until the storage server was asked what came later
    ├── trusted.db      wrapped data keys and what else must outlive the process
    ├── policy.toml     who may ask what, made on first use
    ├── audit/          who asked what (`audit/`)
    └── datasets/       definitions of data sets, besides those that ship
"""

from __future__ import annotations

import os
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.keys import providers as masterkeys
from privacyplease.proxy.keys.master_key import MasterKey

# What describes a master key.
MASTER_FILES = ("master.toml", "master.key", "passphrase")


@dataclass(frozen=True)
class Home:
    """Where the proxy keeps what must not be lost."""

    path: Path

    @property
    def trusted_store(self) -> Path:
        """The proxy's own store."""
        return self.path / "trusted.db"

    @property
    def policy(self) -> Path:
        """Who may ask what."""
        return self.path / "policy.toml"

    @property
    def audit(self) -> Path:
        """The audit log's folder."""
        return self.path / "audit"

    @property
    def restored(self) -> Path:
        """There after a restore, until what came after the backup is known (`lifecycle/restore.py`)."""
        return self.path / "restored.json"

    @property
    def adopted(self) -> Path:
        """What that came to, from then on."""
        return self.path / "adopted.json"

    @property
    def datasets(self) -> Path:
        """The operator's definitions."""
        return self.path / "datasets"

    def master_key(self, passphrase: str | None, *, wraps: bool = False) -> MasterKey:
        """Opens the master key that `master.toml` names, or else the passphrase's file, made on first use.

        Args:
            wraps: Whether there are keys that it wraps, in a store elsewhere.
            passphrase: The operator's. None means the one in the home, made on first use: it keeps the keys of a copied
                disk as safe as the home is, and no safer.

        Raises:
            ConfigurationError: A file is damaged or missing.
            WrongPassphraseError: The passphrase does not open the key.
            KeyringError: Whoever holds the key does not answer or refuses.
        """
        choice = self.master_key_choice
        if choice != masterkeys.PASSPHRASE:
            return masterkeys.open_master_key(choice, os.environ)
        file = self.path / "master.key"
        if file.exists():
            return masterkey.load(file, passphrase or self._own_passphrase())
        if wraps or self.trusted_store.exists():
            raise ConfigurationError(
                f"{file}: missing, but there are keys that it wraps; restore it from a backup, "
                "or copy it from the proxy that shares them"
            )
        return masterkey.create(file, passphrase or self._new_passphrase())

    @property
    def master_key_choice(self) -> str:
        """Who holds the master key, as `privacyplease.proxy.keys.providers` lists it. It is no secret.

        Raises:
            ConfigurationError: `master.toml` is wrong.
        """
        file = self.path / "master.toml"
        try:
            if not file.exists():
                return masterkeys.PASSPHRASE
            ((name, choice),) = tomllib.loads(file.read_text()).items()
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValueError) as error:
            raise _wrong_choice(file) from error
        if name != "master_key" or not isinstance(choice, str):
            raise _wrong_choice(file)
        return choice

    def _own_passphrase(self) -> str:
        file = self.path / "passphrase"
        if not file.exists():
            raise ConfigurationError(
                f"{self.path}: expected a passphrase; give it by PRIVACYPLEASE_PASSPHRASE or a file"
            )
        return file.read_text().strip()

    def _new_passphrase(self) -> str:
        file = self.path / "passphrase"
        if not file.exists():  # it may be there from a first use that was cut short
            masterkey.write_secret(file, secrets.token_urlsafe(32) + "\n")
        return file.read_text().strip()


def _wrong_choice(file: Path) -> ConfigurationError:
    return ConfigurationError(f'{file}: expected one entry, as master_key = "passphrase"')
