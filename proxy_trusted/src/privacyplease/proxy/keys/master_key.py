"""The master key, which wraps the data keys: the one thing that an operator must not lose.

`MasterKey` is the interface to its holder: here a file that a passphrase opens; `providers/` has HSM, vault and KMS.

The file holds a random 256-bit key, wrapped by a key derived from the passphrase with Argon2id (RFC 9106), so the
passphrase can change without touching what the master key wraps.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import threading
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from privacyplease.proxy.documents import from_json
from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError, WrongPassphraseError
from privacyplease.proxy.keys.derivation import KEY_BYTES, Key, context

FORMAT = "privacyplease master key v1"
MASTER_LABEL = b"privacyplease/v1/master"

NONCE_BYTES = 12  # NIST SP 800-38D §8.2: the recommended length for GCM
SALT_BYTES = 16

# RFC 9106 §4, the second recommended option, for machines that cannot spare 2 GiB.
ARGON2 = {"iterations": 3, "lanes": 4, "memory_kib": 64 * 1024}
# A file that asks for more is refused: it could bring the machine to a halt.
ARGON2_MOST = {"iterations": 64, "lanes": 64, "memory_kib": 4 * 1024 * 1024}
ARGON2_LEAST_KIB_PER_LANE = 8  # RFC 9106 §3.1

# OpenSSL takes the lanes' threads from one pool: concurrent derivations fail for lack of threads, or wait for ever.
_one_at_a_time = threading.Lock()


class MasterKey(Protocol):
    """Wraps and unwraps data keys; the master key itself need never be in this process."""

    def wrap(self, key: Key, associated: bytes) -> bytes:
        """Encrypts a key so that only the same master key with the same associated data opens it."""

    def unwrap(self, wrapped: bytes, associated: bytes) -> Key:
        """Opens a key wrapped by `wrap`.

        Raises:
            KeyUnavailableError: It does not open.
        """


class LocalMasterKey:
    """A master key held in this process's memory: AES-256-GCM with random nonces (NIST SP 800-38D)."""

    def __init__(self, key: Key) -> None:
        self._aead = AESGCM(key.reveal())

    def wrap(self, key: Key, associated: bytes) -> bytes:
        """See `MasterKey.wrap`. Returns nonce (12 bytes), ciphertext and tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key.reveal(), associated)

    def unwrap(self, wrapped: bytes, associated: bytes) -> Key:
        """See `MasterKey.unwrap`."""
        try:
            return Key(self._aead.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], associated))
        except (InvalidTag, ValueError) as error:
            raise KeyUnavailableError("a wrapped key does not open under this master key") from error


def create(path: Path, passphrase: str) -> LocalMasterKey:
    """Makes a new master key and writes its file, readable only by its owner.

    Raises:
        ConfigurationError: The file exists already; it is never overwritten.
    """
    key = Key.generate()
    write_secret(path, sealed_by(passphrase, FORMAT, key.reveal(), context(MASTER_LABEL)).decode())
    return LocalMasterKey(key)


def load(path: Path, passphrase: str) -> LocalMasterKey:
    """Opens the master key's file.

    Raises:
        ConfigurationError: The file cannot be read, or has another format.
        WrongPassphraseError: The passphrase does not open it.
    """
    return LocalMasterKey(Key(opened_by(passphrase, FORMAT, path, context(MASTER_LABEL))))


def sealed_by(passphrase: str, form: str, content: bytes, associated: bytes) -> bytes:
    """Seals content under a passphrase; returns the text of the file."""
    salt = secrets.token_bytes(SALT_BYTES)
    wrapped = LocalMasterKey(_passphrase_key(passphrase, salt, ARGON2)).wrap(Key(content), associated)
    fields = {"format": form, **ARGON2, "salt": b64encode(salt).decode(), "wrapped": b64encode(wrapped).decode()}
    return (json.dumps(fields, indent=2) + "\n").encode()


def opened_by(passphrase: str, form: str, path: Path, associated: bytes) -> bytes:
    """The content that `sealed_by` sealed.

    Raises:
        ConfigurationError: The file cannot be read, or has another format.
        WrongPassphraseError: The passphrase does not open it.
    """
    salt, wrapped, cost = _parse(path, form)
    try:
        return LocalMasterKey(_passphrase_key(passphrase, salt, cost)).unwrap(wrapped, associated).reveal()
    except KeyUnavailableError as error:
        raise WrongPassphraseError(f"the passphrase does not open the file of format {form!r}") from error


def write_secret(path: Path, text: str) -> None:
    """Writes a new file, readable only by its owner; on return it survives a loss of power.

    Raises:
        ConfigurationError: The file exists already.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # created with mode 0600
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)  # atomic, and never over another file
        except FileExistsError as error:
            raise ConfigurationError(f"{path}: exists already and is not overwritten") from error
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _parse(path: Path, form: str) -> tuple[bytes, bytes, dict[str, int]]:
    try:
        fields = from_json(path.read_text())
        if fields["format"] != form:
            raise ValueError("format")
        cost = {name: int(fields[name]) for name in ARGON2}
        if not all(1 <= cost[name] <= most for name, most in ARGON2_MOST.items()):
            raise ValueError("cost")
        salt = b64decode(fields["salt"])
        if len(salt) != SALT_BYTES or cost["memory_kib"] < ARGON2_LEAST_KIB_PER_LANE * cost["lanes"]:
            raise ValueError("salt or memory")
        return salt, b64decode(fields["wrapped"]), cost
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: expected a file of format {form!r}") from error


def _passphrase_key(passphrase: str, salt: bytes, cost: dict[str, int]) -> Key:
    kdf = Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=cost["iterations"],
        lanes=cost["lanes"],
        memory_cost=cost["memory_kib"],
    )
    with _one_at_a_time:
        return Key(kdf.derive(passphrase.encode()))
