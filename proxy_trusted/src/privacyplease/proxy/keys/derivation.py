"""Keys as types, and how each is derived from a data key.

::

    master key  ──wraps──►  data key, random, one per (data set, epoch, generation)
                                │  HKDF-Expand (RFC 5869), one label per purpose
                                ├── tag key      per group   AES-256, names segments
                                ├── cell key     per group   AES-256-GCM, seals cells
                                └── digest key               AES-256-GCM, authenticates cells; never exported

>>> Key(bytes(32))
Key(***)
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES = 32

# Domain separation: one label per purpose, so that no two purposes ever share a key.
TAG_LABEL = b"privacyplease/v2/tag"
CELL_LABEL = b"privacyplease/v2/cell"
DIGEST_LABEL = b"privacyplease/v2/digest"


class KeyId(NamedTuple):
    """Identifies a data key of a data set.

    Attributes:
        epoch: The epoch whose records are sealed under it.
        generation: How many keys the epoch had before it: 0, or more once the key was renewed.
    """

    epoch: int
    generation: int = 0


class Key:
    """Secret bytes that do not leak by accident: masked repr, no pickling, comparison in constant time."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def generate(cls) -> Key:
        """A new key of 256 bits from the operating system's generator."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def reveal(self) -> bytes:
        """The bytes, for the one call that needs them."""
        return self._secret

    def __repr__(self) -> str:
        return "Key(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and hmac.compare_digest(self._secret, other._secret)

    __hash__ = None  # type: ignore[assignment]  # hashing a key would compare it in variable time

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key does not pickle")


@dataclass(frozen=True, slots=True)
class GroupKeys:
    """The keys of one group of columns in one epoch."""

    tag: Key
    cell: Key

    @classmethod
    def derive(cls, data_key: Key, dataset: str, group: str) -> GroupKeys:
        """Derives them from the epoch's data key.

        HKDF-Expand is enough: a data key is uniformly random, so there is nothing to extract (RFC 5869 §3.3).
        """
        return cls(*(expand(data_key, label, dataset, group) for label in (TAG_LABEL, CELL_LABEL)))


def context(label: bytes, *parts: str | bytes) -> bytes:
    """An injective encoding of a label and its parts as one byte string.

    Each element is preceded by its length (u32, big endian), so that ("ab", "c") and ("a", "bc") differ.
    """
    encoded = (part.encode() if isinstance(part, str) else part for part in (label, *parts))
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def expand(data_key: Key, label: bytes, *parts: str) -> Key:
    """A key for the purpose that the label and its parts name (HKDF-Expand, as in `GroupKeys.derive`)."""
    info = context(label, *parts)
    return Key(HKDFExpand(hashes.SHA256(), KEY_BYTES, info).derive(data_key.reveal()))
