"""The head of the manifest: a version and a hash chain over all changes, kept in more than one place.

::

    link       = HMAC-SHA256(chain key, the link before ‖ version (u64) ‖ changes)
    body       = sequence (u64) ‖ version (u64) ‖ link (32) ‖ time in ms (i64) ‖ destroyed keys (u64), and zeros
                 up to a cell's size
    sealed     = nonce (12) ‖ AES-256-GCM(head key, nonce, body, label ‖ tag)
    tag        = AES-256(head tag key, sequence (u128))

The newest head is kept in the trusted store, at the storage server, and by each witness. A home that was rolled back
finds a newer one there and refuses to continue.

The server keeps one cell per tag, so each head that is sent to it has its own tag, by its number in the sequence. Few
of them are kept: for each k, the newest heads whose number is a multiple of 2^k (`kept`). An older home can ask for
enough of these tags (`ahead_of`): if s0 is its newest number and s > s0 the newest of all, let k be the greatest for
which a multiple of 2^k lies in (s0, s]. There is exactly one such multiple, since of two neighbours one is a multiple
of 2^(k+1); it is the first after s0, so it is asked for, and the last up to s, so it is kept. Three for each k are kept
and asked for where one would do, so that a head that never arrived because of a crash hides no other.

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

# The sequence never reaches 2^40.
_BITS = 40
# How many heads are kept, and asked for, for each power of two.
_OF_EACH = 3

_BODY = struct.Struct(f">QQ{LINK_BYTES}sqQ")


class Head(NamedTuple):
    """A head.

    Attributes:
        sequence: How many heads were sent to the server up to and including this one.
        version: The version of the manifest.
        link: The last link of the chain.
        at: When it was made, in ms since 1970.
        destroyed: How many keys are on the list of destroyed ones (`destroyed_keys.py`); 0 in heads that were made
            before there was one, where zeros take its place.
    """

    sequence: int
    version: int
    link: bytes
    at: int
    destroyed: int = 0


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
        """Identifies the home of these heads to a witness."""
        return permute(self._tag, np.full((1, BLOCK), 0xFF, np.uint8)).tobytes().hex()

    def linked(self, head: Head, version: int, changes: Iterable[bytes]) -> bytes:
        """The next link of the chain."""
        return _mac(self._chain, head.link + version.to_bytes(8, "big") + context(HEAD_LABEL, *changes))

    def tags(self, sequences: Iterable[int]) -> list[Tag]:
        """The tag under which the server has each head."""
        blocks = b"".join(sequence.to_bytes(BLOCK, "big") for sequence in sequences)
        octets = permute(self._tag, np.frombuffer(blocks, np.uint8).reshape(-1, BLOCK)).tobytes()
        return [Tag(octets[begin : begin + BLOCK]) for begin in range(0, len(octets), BLOCK)]

    def seal(self, head: Head) -> Cell:
        """The head as a cell."""
        (tag,) = self.tags([head.sequence])
        nonce = secrets.token_bytes(NONCE_BYTES)
        body = _BODY.pack(*head).ljust(HEAD_BYTES - NONCE_BYTES - 16, b"\0")
        return Cell(tag, Sealed(nonce + self._aead.encrypt(nonce, body, context(HEAD_LABEL, tag))))

    def open(self, cell: Cell) -> Head | None:
        """The head in a cell; None if it was changed or is not one of this home's."""
        try:
            nonce, sealed = cell.sealed[:NONCE_BYTES], cell.sealed[NONCE_BYTES:]
            return Head(*_BODY.unpack_from(self._aead.decrypt(nonce, sealed, context(HEAD_LABEL, cell.tag))))
        except (InvalidTag, ValueError):
            return None


def kept(newest: int) -> set[int]:
    """The numbers of the heads that the server keeps when the newest is sent."""
    powers = [1 << k for k in range(newest.bit_length())]
    return {newest, *(max(newest // power - back, 0) * power for power in powers for back in range(_OF_EACH))}


def dropped(newest: int, sent: int) -> set[int]:
    """The numbers of the heads that the server need not keep any more.

    Args:
        newest: The number of the newest head.
        sent: How many heads have been sent since it was last told to delete some.
    """
    before = max(newest - sent, 0)
    return ({*range(before + 1, newest)} | kept(before)) - kept(newest) - {0}


def ahead_of(known: int) -> set[int]:
    """Numbers of heads to ask for: if the server has a head newer than `known`, it keeps one of these."""
    powers = [1 << k for k in range(_BITS)]
    return {(known // power + 1 + more) * power for power in powers for more in range(_OF_EACH)}


def _mac(key: Key, message: bytes) -> bytes:
    return hmac.digest(key.reveal(), message, "sha256")
