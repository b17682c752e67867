"""Sealing: a page becomes a cell, and exactly that cell becomes the page again.

::

    sealed     = version (1 byte) ‖ nonce (12) ‖ AES-256-GCM(cell key, nonce, page, associated data)
    page       = frame length (u32) ‖ zstd frame ‖ zeros up to the cell's size class
    associated = label ‖ data set ‖ group ‖ tag, each preceded by its length
    digest     = nonce (12) ‖ GMAC(digest key, nonce, tag ‖ sealed)

The associated data binds a cell to its tag. That is not enough: the holder of a cell key, which an exported keyring
contains, could seal another page for the same tag. So the manifest has a digest of each cell, under a key that is never
handed out; GMAC (NIST SP 800-38D) is ten times as fast as SHA-256. Both nonces are random and have 96 bits.
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

# Authenticates one sealed cell under one tag to a holder of the digest key.
Digest = NewType("Digest", bytes)

_LENGTH = struct.Struct(">I")

# What a cell has besides the frame: version, nonce, authentication tag and the frame's length.
OVERHEAD_BYTES = len(VERSION) + NONCE_BYTES + 16 + _LENGTH.size

_MALFORMED = (struct.error, ValueError, OSError, zstandard.ZstdError, pa.ArrowException, StopIteration)


class CellContext(NamedTuple):
    """Where a cell belongs. Its associated data says so, and it opens nowhere else."""

    dataset: str
    group: Group
    tag: Tag

    @property
    def associated_data(self) -> bytes:
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

    def seal(self, batch: pa.RecordBatch, place: CellContext, budget: Budget, records: int) -> SealedGroup:
        """Seals a group's batch, padded to the cell size of this number of records."""
        frame = compressed(batch)
        return self.enclose(frame, budget.fitting(records, len(frame) + OVERHEAD_BYTES), place)

    def enclose(self, frame: bytes, size: int, place: CellContext, nonce: bytes | None = None) -> SealedGroup:
        """Pads and seals a frame.

        Args:
            frame: A zstd frame.
            size: The size of the cell, in bytes.
            place: Where the cell belongs.
            nonce: 12 bytes, never used twice under one key; None for random ones. With 2^32 cells under a key the
                probability that two of those collide is 2^-33 (NIST SP 800-38D §8.3 allows 2^32 uses).
        """
        page = _LENGTH.pack(len(frame)) + frame
        padded = page + bytes(size - OVERHEAD_BYTES - len(frame))
        used = nonce or secrets.token_bytes(NONCE_BYTES)
        sealed = Sealed(VERSION + used + self._aead.encrypt(used, padded, place.associated_data))
        return SealedGroup(Cell(place.tag, sealed), self._digests.of(place.tag, sealed))


class Digests:
    """Makes and checks digests of cells under one key."""

    def __init__(self, key: Key) -> None:
        self._mac = AESGCM(key.reveal())

    def of(self, tag: Tag, sealed: Sealed, nonce: bytes | None = None) -> Digest:
        """The digest of a cell; the nonce is as in `Sealer.enclose`."""
        used = nonce or secrets.token_bytes(NONCE_BYTES)
        return Digest(used + self._mac.encrypt(used, b"", tag + sealed))

    def verify(self, digest: Digest, tag: Tag, sealed: Sealed) -> bool:
        """Whether the digest is of this cell."""
        try:
            self._mac.decrypt(digest[:NONCE_BYTES], digest[NONCE_BYTES:], tag + sealed)
        except (InvalidTag, ValueError):
            return False
        return True


class Opener:
    """Opens the cells of one group under the keys of an epoch."""

    def __init__(self, cell_key: Key) -> None:
        self._aead = AESGCM(cell_key.reveal())

    def open(self, sealed: Sealed, place: CellContext) -> pa.RecordBatch:
        """Opens a cell.

        Raises:
            CellDamagedError: It was changed, or sealed for another context, or does not hold a page.
        """
        try:
            if sealed[:1] != VERSION:
                raise ValueError("version")
            nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
            page = self._aead.decrypt(nonce, body, place.associated_data)
        except (InvalidTag, ValueError) as error:
            raise CellDamagedError("a cell does not open: it was changed or moved", cells=1) from error
        return _batch(page)


def _batch(page: bytes) -> pa.RecordBatch:
    """The content of a page. A malformed page was sealed by another holder of the cell key."""
    try:
        (length,) = _LENGTH.unpack_from(page)
        frame = page[_LENGTH.size : _LENGTH.size + length]
        if len(frame) < length:
            raise ValueError("length")
        return decompressed(frame)
    except _MALFORMED as error:
        raise CellDamagedError("a cell does not hold a page", cells=1) from error
