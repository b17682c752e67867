"""The list of destroyed keys, which outlives the home: an older home that is restored learns from it what to destroy.

::

    body       = epoch (i64) ‖ generation (u32) ‖ renewed (u8) ‖ length (u8) ‖ data set, and zeros up to a cell's size
    sealed     = nonce (12) ‖ AES-256-GCM(list key, nonce, body, label ‖ tag)
    tag        = AES-256(list tag key, number (u128))

The storage server has a cell for each key, numbered from 1. The manifest's head has their number, so a server that
withholds one of them is detected. A key is listed before it counts as destroyed (`lifecycle/eraser.py`).
"""

from __future__ import annotations

import secrets
import struct
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacyplease.proxy.errors import CellDamagedError, CellsMissingError
from privacyplease.proxy.keys.derivation import KeyId, context
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.keys.prf import BLOCK, permute
from privacyplease.proxy.manifest.changes import Change
from privacyplease.proxy.manifest.head import HEAD_BYTES, HEAD_OWNER
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.storage.client import StorageClient

DESTROYED_LABEL = b"privacyplease/v2/destroyed"
DESTROYED_TAG_LABEL = b"privacyplease/v2/destroyed-tag"

_BODY = struct.Struct(">qIBB")


class DestroyedKey(NamedTuple):
    """A key on the list.

    Attributes:
        dataset: Its data set.
        key: Which of its keys.
        renewed: Whether its epoch had a newer key when it was listed, so that the epoch is not erased.
    """

    dataset: str
    key: KeyId
    renewed: bool


class DestroyedKeys:
    """Reads and extends the list. Safe to use from many threads."""

    def __init__(self, manifest: Manifest, storage: StorageClient, keyring: Keyring) -> None:
        self._manifest = manifest
        self._storage = storage
        number = keyring.ensure(HEAD_OWNER, 0)
        self._aead = AESGCM(keyring.derived(HEAD_OWNER, number, DESTROYED_LABEL).reveal())
        self._tag = keyring.derived(HEAD_OWNER, number, DESTROYED_TAG_LABEL)
        self._listed: list[DestroyedKey] = []
        self._lock = threading.Lock()

    def read(self, count: int = 0) -> list[DestroyedKey]:
        """The list as the storage server has it, in the order in which keys were listed.

        Args:
            count: How many keys a head that was found elsewhere counts; those that the manifest's own head counts are
                required as well.

        Raises:
            CellsMissingError: The server withholds some of those that are counted.
            CellDamagedError: One of them was changed.
            StorageError: The server did not answer.
        """
        with self._lock:
            self._read(max(count, self._manifest.head().destroyed))
            return list(self._listed)

    def add(self, destroyed: DestroyedKey) -> None:
        """Puts a key on the list, durably, unless it is there. Repeating an interrupted call completes it.

        Raises:
            ProxyError: As `read`; or the server does not return what it was sent.
        """
        with self._lock:
            if destroyed[:2] in [listed[:2] for listed in self._listed[: self._manifest.head().destroyed]]:
                return
            self._read(self._manifest.head().destroyed)
            while destroyed[:2] not in [listed[:2] for listed in self._listed]:
                number = len(self._listed) + 1
                self._storage.append([self.seal(number, destroyed)])
                # A tag has one cell for ever: a call that was interrupted may have left another key under this one.
                self._read(number)
            if self._manifest.head().destroyed < len(self._listed):
                self._publish(len(self._listed))

    def seal(self, number: int, destroyed: DestroyedKey) -> Cell:
        """A key as the cell with a number."""
        (tag,) = self.tags([number])
        nonce, name = secrets.token_bytes(NONCE_BYTES), destroyed.dataset.encode()
        body = _BODY.pack(*destroyed.key, destroyed.renewed, len(name)) + name
        padded = body.ljust(HEAD_BYTES - NONCE_BYTES - 16, b"\0")
        return Cell(tag, Sealed(nonce + self._aead.encrypt(nonce, padded, context(DESTROYED_LABEL, tag))))

    def open(self, cell: Cell) -> DestroyedKey:
        """The key in a cell.

        Raises:
            CellDamagedError: It was changed.
        """
        try:
            nonce, sealed = cell.sealed[:NONCE_BYTES], cell.sealed[NONCE_BYTES:]
            body = self._aead.decrypt(nonce, sealed, context(DESTROYED_LABEL, cell.tag))
        except (InvalidTag, ValueError) as error:
            raise CellDamagedError("a cell of the list of destroyed keys does not open") from error
        epoch, generation, renewed, length = _BODY.unpack_from(body)
        name = body[_BODY.size : _BODY.size + length].decode()
        return DestroyedKey(name, KeyId(epoch, generation), bool(renewed))

    def tags(self, numbers: Sequence[int]) -> list[Tag]:
        """The tag of each number."""
        blocks = b"".join(number.to_bytes(BLOCK, "big") for number in numbers)
        octets = permute(self._tag, np.frombuffer(blocks, np.uint8).reshape(-1, BLOCK)).tobytes()
        return [Tag(octets[begin : begin + BLOCK]) for begin in range(0, len(octets), BLOCK)]

    def _read(self, count: int) -> None:
        """Reads what is not known yet: up to `count`, and one more, which a call that was interrupted may have left."""
        wanted = self.tags(range(len(self._listed) + 1, count + 2))
        cells = self._storage.select(wanted)
        if missing := sum(tag not in cells for tag in wanted[:-1]):
            raise CellsMissingError(f"expected {count:,} destroyed keys on the list; {missing:,} of them are missing")
        self._listed += [self.open(Cell(tag, cells[tag])) for tag in wanted if tag in cells]

    def _publish(self, count: int) -> None:
        published = self._manifest.commit(Change(), announced=True, destroyed=count)
        if published.head:
            self._storage.append([published.head])
        if published.outdated:
            self._storage.delete(published.outdated)
