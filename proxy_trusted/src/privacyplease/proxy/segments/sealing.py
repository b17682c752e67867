"""Sealing: a page becomes a cell, and a cell that is exactly the one that was sealed becomes a page.

::

    sealed     = version (1 byte) ‖ nonce (12) ‖ AES-256-GCM(cell key, nonce, page, associated data)
    page       = frame length (u32) ‖ zstd frame ‖ zeros up to the cell's size class
    associated = label ‖ data set ‖ group ‖ tag, each preceded by its length
    digest     = nonce (12) ‖ GMAC(digest key, nonce, tag ‖ sealed)

The associated data ties a cell to its tag. It is not enough: whoever is handed a cell key, as an exported keyring does,
could seal another page for the same tag. So the manifest has a digest of each cell, under a key that is never handed
out; GMAC (NIST SP 800-38D) runs at ten times the speed of SHA-256. Both nonces are random and of 96 bits.
"""

from __future__ import annotations

import secrets
import struct
from typing import NamedTuple, NewType

import pyarrow as pa
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.keys.derivation import Key, context
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.records.budget import Budget
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.pages import compressed, decompressed
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag

VERSION = b"\x02"
CELL_LABEL = b"privacyplease/v2/cell-page"
DIGEST_BYTES = NONCE_BYTES + 16

# Vouches for one sealed cell under one tag, to whoever has the digest key.
Digest = NewType("Digest", bytes)

_LENGTH = struct.Struct(">I")

# What a cell has beside the frame: version, nonce, authentication tag and the frame's length.
OVERHEAD_BYTES = len(VERSION) + NONCE_BYTES + 16 + _LENGTH.size


_MALFORMED = (struct.error, ValueError, OSError, zstandard.ZstdError, pa.ArrowException, StopIteration)


class Place(NamedTuple):
    """Where a cell belongs, which its associated data says: nowhere else does it open."""

    dataset: str
    group: Group
    tag: Tag

    @property
    def associated(self) -> bytes:
        """The associated data."""
        return context(CELL_LABEL, self.dataset, self.group.label, self.tag)


class SealedGroup(NamedTuple):
    """A cell and its digest."""

    cell: Cell
    digest: Digest

    @property
    def size(self) -> int:
        """The cell's size in bytes."""
        return len(self.cell.sealed)


class Sealer:
    """Seals the cells of a data set under the keys of an epoch."""

    def __init__(self, cell_key: Key, digest_key: Key) -> None:
        self._aead = AESGCM(cell_key.reveal())
        self._digests = Digests(digest_key)

    def seal(self, batch: pa.RecordBatch, place: Place, budget: Budget, records: int) -> SealedGroup:
        """Seals a group's batch, padded to the size that so many records have."""
        frame = compressed(batch)
        return self.enclose(frame, budget.fitting(records, len(frame) + OVERHEAD_BYTES), place)

    def enclose(self, frame: bytes, size: int, place: Place, nonce: bytes | None = None) -> SealedGroup:
        """Pads and seals a frame.

        Args:
            frame: A zstd frame.
            size: That of the cell, in bytes.
            place: Where the cell belongs.
            nonce: 12 bytes, never used twice under one key; None for random ones. With 2^32 cells under a key the
                chance that two of those meet is 2^-33 (NIST SP 800-38D §8.3 allows 2^32 uses).
        """
        page = _LENGTH.pack(len(frame)) + frame
        padded = page + bytes(size - OVERHEAD_BYTES - len(frame))
        drawn = nonce or secrets.token_bytes(NONCE_BYTES)
        sealed = Sealed(VERSION + drawn + self._aead.encrypt(drawn, padded, place.associated))
        return SealedGroup(Cell(place.tag, sealed), self._digests.of(place.tag, sealed))


class Digests:
    """Makes and checks digests of cells under one key."""

    def __init__(self, key: Key) -> None:
        self._mac = AESGCM(key.reveal())

    def of(self, tag: Tag, sealed: Sealed, nonce: bytes | None = None) -> Digest:
        """The digest of a cell; the nonce as in `Sealer.enclose`."""
        drawn = nonce or secrets.token_bytes(NONCE_BYTES)
        return Digest(drawn + self._mac.encrypt(drawn, b"", tag + sealed))

    def vouch(self, digest: Digest, tag: Tag, sealed: Sealed) -> bool:
        """Whether a digest is of this cell."""
        try:
            self._mac.decrypt(digest[:NONCE_BYTES], digest[NONCE_BYTES:], tag + sealed)
        except (InvalidTag, ValueError):
            return False
        return True


class Opener:
    """Opens the cells of one group under the keys of an epoch."""

    def __init__(self, cell_key: Key) -> None:
        self._aead = AESGCM(cell_key.reveal())

    def open(self, sealed: Sealed, place: Place) -> pa.RecordBatch:
        """Opens a cell.

        Raises:
            CellDamagedError: It was changed, or was sealed for another place, or is no page.
        """
        try:
            if sealed[:1] != VERSION:
                raise ValueError("version")
            nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
            page = self._aead.decrypt(nonce, body, place.associated)
        except (InvalidTag, ValueError) as error:
            raise CellDamagedError("a cell does not open: it was changed or moved", cells=1) from error
        return _batch(page)


def _batch(page: bytes) -> pa.RecordBatch:
    """What is in a page. One that is malformed was sealed by somebody who was handed the cell key."""
    try:
        (length,) = _LENGTH.unpack_from(page)
        frame = page[_LENGTH.size : _LENGTH.size + length]
        if len(frame) < length:
            raise ValueError("length")
        return decompressed(frame)
    except _MALFORMED as error:
        raise CellDamagedError("a cell opens to what is no page", cells=1) from error
