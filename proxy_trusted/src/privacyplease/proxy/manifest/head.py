"""The head of the manifest: a version and a chain of hashes over all its changes, kept in more places than one.

::

    link       = HMAC-SHA256(chain key, the link before ‖ version (u64) ‖ changes)
    body       = sequence (u64) ‖ version (u64) ‖ link (32) ‖ time in ms (i64), and zeros up to a cell's size
    sealed     = nonce (12) ‖ AES-256-GCM(head key, nonce, body, label ‖ tag)
    tag        = AES-256(head tag key, sequence (u128))

The newest head lies in the trusted store, with the storage server, and with each witness. A home that was rolled back
finds a newer one there and refuses to go on.

The server keeps one cell a tag, so each head that is sent to it has a tag of its own, by its number in the sequence. It
keeps few: for each k the newest heads whose number is a multiple of 2^k (`kept`). Of these an older home knows enough
tags to ask for (`ahead_of`): if s0 is its newest number and s > s0 the newest there is, let k be the greatest for which
a multiple of 2^k lies in (s0, s]. There is exactly one, for of two neighbours one is a multiple of 2^(k+1); it is the
first after s0, so it is asked for, and the last up to s, so it is kept. Three of each k are kept and asked for where
one would do, so that a head that never arrived, for a crash came in between, hides no other.

>>> sorted(kept(100))
[0, 32, 64, 80, 88, 92, 96, 98, 99, 100]
>>> all(kept(newest) & ahead_of(newest - behind) for newest in range(1, 300) for behind in range(1, newest))
True
"""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from privacyplease.proxy.keys.derivation import Key, context
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.master_key import NONCE_BYTES
from privacyplease.proxy.keys.prf import BLOCK, permute
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag

HEAD_OWNER = "/manifest"  # no data set has such a name
HEAD_LABEL = b"privacyplease/v2/head"
HEAD_TAG_LABEL = b"privacyplease/v2/head-tag"
CHAIN_LABEL = b"privacyplease/v2/head-chain"

# The smallest of the sizes that cells have.
HEAD_BYTES = 1_024
LINK_BYTES = 32

# More heads than there will ever be.
_BITS = 40
# How many heads of each power of two are kept, and asked for.
_OF_EACH = 3

_BODY = struct.Struct(f">QQ{LINK_BYTES}sq")


class Head(NamedTuple):
    """A head.

    Attributes:
        sequence: How many were sent to the server up to this one, itself included.
        version: That of the manifest.
        link: The last link of the chain.
        at: When it was made, in ms since 1970.
    """

    sequence: int
    version: int
    link: bytes
    at: int


FIRST = Head(0, 0, bytes(LINK_BYTES), 0)


class HeadKeys:
    """Seals and opens heads, and names them."""

    def __init__(self, keyring: Keyring) -> None:
        number = keyring.ensure(HEAD_OWNER, 0)
        keys = (keyring.derived(HEAD_OWNER, number, label) for label in (HEAD_LABEL, HEAD_TAG_LABEL, CHAIN_LABEL))
        seal, self._tag, self._chain = keys
        self._aead = AESGCM(seal.reveal())

    @property
    def home(self) -> str:
        """Tells the home of these heads from others, to a witness."""
        return permute(self._tag, np.full((1, BLOCK), 0xFF, np.uint8)).tobytes().hex()

    def linked(self, head: Head, version: int, changes: Iterable[bytes]) -> bytes:
        """The next link of the chain."""
        return _mac(self._chain, head.link + version.to_bytes(8, "big") + context(HEAD_LABEL, *changes))

    def tags(self, sequences: Iterable[int]) -> list[Tag]:
        """Under which tag the server has each head."""
        blocks = b"".join(sequence.to_bytes(BLOCK, "big") for sequence in sequences)
        octets = permute(self._tag, np.frombuffer(blocks, np.uint8).reshape(-1, BLOCK)).tobytes()
        return [Tag(octets[at : at + BLOCK]) for at in range(0, len(octets), BLOCK)]

    def seal(self, head: Head) -> Cell:
        """The head as a cell."""
        (tag,) = self.tags([head.sequence])
        nonce = secrets.token_bytes(NONCE_BYTES)
        body = _BODY.pack(*head).ljust(HEAD_BYTES - NONCE_BYTES - 16, b"\0")
        return Cell(tag, Sealed(nonce + self._aead.encrypt(nonce, body, context(HEAD_LABEL, tag))))

    def open(self, cell: Cell) -> Head | None:
        """The head in a cell; None if it was changed or is none of ours."""
        try:
            nonce, sealed = cell.sealed[:NONCE_BYTES], cell.sealed[NONCE_BYTES:]
            return Head(*_BODY.unpack_from(self._aead.decrypt(nonce, sealed, context(HEAD_LABEL, cell.tag))))
        except (InvalidTag, ValueError):
            return None


def kept(newest: int) -> set[int]:
    """The numbers of the heads that the server keeps when the newest is sent."""
    powers = [1 << k for k in range(newest.bit_length())]
    return {newest, *(max(newest // power - back, 0) * power for power in powers for back in range(_OF_EACH))}


def dropped(newest: int, together: int) -> set[int]:
    """The numbers of the heads that it need not keep any more, when so many have been sent since it was told last."""
    before = max(newest - together, 0)
    return ({*range(before + 1, newest)} | kept(before)) - kept(newest) - {0}


def ahead_of(known: int) -> set[int]:
    """The numbers among which there is one that the server keeps, if it has a newer head than one of a number."""
    powers = [1 << k for k in range(_BITS)]
    return {(known // power + 1 + more) * power for power in powers for more in range(_OF_EACH)}


def _mac(key: Key, message: bytes) -> bytes:
    return hmac.digest(key.reveal(), message, "sha256")
