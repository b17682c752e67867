"""Key-encryption keys as files of a folder, one each, which are overwritten before they are deleted.

::

    epoch-keys/
    ├── place        a random name of the folder: an empty mount point is not mistaken for it
    └── <name>.key   a random 256-bit key, in hexadecimal

A file alone opens nothing: what it wraps is wrapped by the master key as well. Proxies that share a trusted store share
the folder too. Keep it where nothing copies it: see docs/KEYS.md for what snapshots and copy-on-write file systems do.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from privacyplease.proxy.errors import (
    ConfigurationError,
    KeyUnavailableError,
    MasterKeyRefusedError,
    MasterKeyUnavailableError,
)
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.master_key import LocalMasterKey, MasterKey, write_secret

SCHEME = "files"

_PLACE = "place"
_NAME_BYTES = 16
_OTHERS = 0o077


class EpochKeyFiles:
    """KEKs in a folder. Safe to use from many threads, and from several proxies."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder, which is created on first use.

        Raises:
            ConfigurationError: It cannot be used, or others can read it.
        """
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (folder / _PLACE).exists():
                _write_new(folder / _PLACE, secrets.token_hex(_NAME_BYTES))
            self._place = (folder / _PLACE).read_text().strip()
            mode = stat.S_IMODE(folder.stat().st_mode)
        except OSError as error:
            raise ConfigurationError(f"{folder}: expected a folder for keys: {error.strerror}") from error
        if mode & _OTHERS:
            raise ConfigurationError(f"{folder}: expected mode {mode & ~_OTHERS:04o}, got {mode:04o}")

    @property
    def place(self) -> str:
        """See `EpochKeyHolder.place`."""
        return f"{SCHEME}:{self._place}"

    def make(self) -> str:
        """See `EpochKeyHolder.make`."""
        self._require_place()
        name = secrets.token_hex(_NAME_BYTES)
        try:
            write_secret(self._file(name), Key.generate().reveal().hex())
        except (OSError, ConfigurationError) as error:
            raise MasterKeyUnavailableError("a key-encryption key cannot be written", provider=SCHEME) from error
        return name

    def key(self, name: str) -> MasterKey:
        """See `EpochKeyHolder.key`."""
        self._require_place()
        try:
            return LocalMasterKey(Key(bytes.fromhex(self._file(name).read_text())))
        except FileNotFoundError as error:
            raise KeyUnavailableError("there is no such key-encryption key") from error
        except (OSError, ValueError) as error:
            raise KeyUnavailableError("a key-encryption key cannot be read") from error

    def exists(self, name: str) -> bool:
        """See `EpochKeyHolder.exists`."""
        self._require_place()
        return self._file(name).exists()

    def destroy(self, name: str) -> None:
        """See `EpochKeyHolder.destroy`."""
        self._require_place()
        file = self._file(name)
        try:
            if file.exists():
                with file.open("r+b") as opened:
                    opened.write(bytes(file.stat().st_size))
                    opened.flush()
                    os.fsync(opened.fileno())
            file.unlink(missing_ok=True)
            _make_durable(self._folder)
        except OSError as error:
            message = f"a key-encryption key cannot be destroyed: {error.strerror}"
            raise MasterKeyRefusedError(message, provider=SCHEME) from error

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.key"

    def _require_place(self) -> None:
        try:
            found = (self._folder / _PLACE).read_text().strip()
        except OSError:
            found = ""
        if found != self._place:
            message = "the folder of key-encryption keys is missing, or was replaced by another"
            raise MasterKeyUnavailableError(message, provider=SCHEME)


def _write_new(file: Path, text: str) -> None:
    """Writes a file, unless another proxy has just done so."""
    try:
        write_secret(file, text)
    except ConfigurationError:
        if not file.exists():
            raise


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
