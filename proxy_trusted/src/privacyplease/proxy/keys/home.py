"""The proxy's home: a folder in the trusted domain with its keys, its own store and the operator's data sets.

::

    home/
    ├── master.toml     only if an HSM, vault or KMS holds the master key: which one (`master_key = "vault:…"`)
    ├── allowed-master-keys.toml  where the master key may move to, by name; written by whoever runs this machine
    ├── master.key      the master key, opened by the passphrase
    ├── passphrase      only if no passphrase was given: generated on first use, readable only by its owner
    ├── master-…/       after a rotation: the three files above, of the master key in force (`rotation.py`)
    ├── restored.json   only after a restore or an accepted roll-back, until what was written later is known
    ├── trusted.db      wrapped data keys and all else that must outlive the process
    ├── policy.toml     who may ask what, created on first use; what is in force of it is in `trusted.db`
    ├── audit/          who asked what (`audit/`)
    ├── reserve         while the proxy runs: room on the disk for administrators (`trusted_store/disk_reserve.py`)
    ├── epoch-keys/     key-encryption keys, if they are files and no other folder was chosen (`epoch_key_files.py`)
    └── datasets/       definitions of data sets, besides those that ship
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from privacyplease.proxy.documents import from_toml
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.keys import providers as masterkeys
from privacyplease.proxy.keys.master_key import MasterKey

# The files that describe a master key.
MASTER_FILES = ("master.toml", "master.key", "passphrase")


@dataclass(frozen=True)
class Home:
    """The folder in which the proxy keeps what must not be lost."""

    path: Path

    @property
    def trusted_store(self) -> Path:
        """The proxy's own store."""
        return self.path / "trusted.db"

    @property
    def policy(self) -> Path:
        """The policy file: who may ask what."""
        return self.path / "policy.toml"

    @property
    def audit(self) -> Path:
        """The audit log's folder."""
        return self.path / "audit"

    @property
    def reserve(self) -> Path:
        """The file that keeps room on the disk for administrators."""
        return self.path / "reserve"

    @property
    def epoch_keys(self) -> Path:
        """The folder of key-encryption keys, unless another one was chosen."""
        return self.path / "epoch-keys"

    @property
    def restored(self) -> Path:
        """A file that exists after a restore until what came after the backup is known (`lifecycle/restore.py`)."""
        return self.path / "restored.json"

    @property
    def adopted(self) -> Path:
        """The result of the restore, written afterwards."""
        return self.path / "adopted.json"

    @property
    def datasets(self) -> Path:
        """The folder of the operator's data set definitions."""
        return self.path / "datasets"

    def master_key(self, passphrase: str | None, *, wraps: bool = False) -> MasterKey:
        """Opens the master key that `master.toml` names, or else `master.key`, which is created on first use.

        Args:
            passphrase: The operator's passphrase. None means the one in the home, generated on first use; it protects
                the keys only as well as the home itself is protected.
            wraps: Whether a store elsewhere holds keys that the master key wraps.

        Raises:
            ConfigurationError: A file is damaged or missing.
            WrongPassphraseError: The passphrase does not open the key.
            KeyringError: The HSM, vault or KMS does not answer, or refuses.
        """
        choice = self.master_key_choice
        if choice != masterkeys.PASSPHRASE:
            return masterkeys.open_master_key(choice, os.environ)
        file = self.path / "master.key"
        if file.exists():
            return masterkey.load(file, passphrase or self._own_passphrase())
        if wraps or self.trusted_store.exists():
            raise ConfigurationError(
                f"{file}: missing, but there are data keys that it wraps; restore it from a backup, "
                "or copy it from another proxy that shares them"
            )
        return masterkey.create(file, passphrase or self._new_passphrase())

    @property
    def master_key_choice(self) -> str:
        """Who holds the master key, in the form listed in `privacyplease.proxy.keys.providers`. It is not secret.

        Raises:
            ConfigurationError: `master.toml` is wrong.
        """
        file = self.path / "master.toml"
        try:
            if not file.exists():
                return masterkeys.PASSPHRASE
            ((name, choice),) = from_toml(file.read_text()).items()
        except (OSError, ValueError) as error:
            raise _wrong_choice(file) from error
        if name != "master_key" or not isinstance(choice, str):
            raise _wrong_choice(file)
        return choice

    def master_key_named(self, name: str) -> str:
        """Where a master key may move to, in the form listed in `privacyplease.proxy.keys.providers`.

        A request names an entry of `allowed-master-keys.toml` and never a place: whoever may rotate the master key
        could otherwise have every data key sent to a machine of their own.

        Args:
            name: An entry, or "passphrase", which is always allowed: that master key stays in this home.

        Raises:
            ConfigurationError: There is no such entry, or the file is wrong.
        """
        if name == masterkeys.PASSPHRASE:
            return name
        file = self.path / "allowed-master-keys.toml"
        try:
            allowed = from_toml(file.read_text()) if file.exists() else {}
        except (OSError, ValueError) as error:
            raise ConfigurationError(f'{file}: expected lines such as hsm = "pkcs11:…"') from error
        if not all(isinstance(choice, str) for choice in allowed.values()):
            raise ConfigurationError(f'{file}: expected lines such as hsm = "pkcs11:…"')
        if name not in allowed:
            known = ", ".join([masterkeys.PASSPHRASE, *sorted(allowed)])
            raise ConfigurationError(
                f"master_key: expected one of {known} (allowed-master-keys.toml in the proxy's home)"
            )
        return str(allowed[name])

    def _own_passphrase(self) -> str:
        file = self.path / "passphrase"
        if not file.exists():
            raise ConfigurationError(f"{self.path}: expected a passphrase, in PRIVACYPLEASE_PASSPHRASE or a file")
        return file.read_text().strip()

    def _new_passphrase(self) -> str:
        file = self.path / "passphrase"
        if not file.exists():  # it may exist already, if the first use was interrupted
            masterkey.write_secret(file, secrets.token_urlsafe(32) + "\n")
        return file.read_text().strip()


def _wrong_choice(file: Path) -> ConfigurationError:
    return ConfigurationError(f'{file}: expected exactly one entry, such as master_key = "passphrase"')
