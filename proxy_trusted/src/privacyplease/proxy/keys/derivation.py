"""Keys as types, and how each is derived from a data key.

::

    master key  ──wraps──►  data key, random, one per (data set, epoch)
                                │  HKDF-Expand (RFC 5869), one label per purpose
                                ├── tag key   per index    AES-256, names buckets and bins
                                ├── bin key   per index    AES-256-CMAC, spreads subjects over bins
                                ├── cell key  per index    AES-256-GCM, seals cells
                                └── ledger key per index   AES-256, hashes sets of cells

>>> Key(bytes(32))
Key(***)
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from typing import NoReturn

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

KEY_BYTES = 32

# Domain separation: one label for each purpose, so that no two purposes ever share a key.
TAG_LABEL = b"privacyplease/v1/tag"
BIN_LABEL = b"privacyplease/v1/bin"
CELL_LABEL = b"privacyplease/v1/cell"
LEDGER_LABEL = b"privacyplease/v1/ledger"


class Key:
    """Secret bytes that do not leak by accident: no repr, no pickle, compared in constant time."""

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

    __hash__ = None  # type: ignore[assignment]  # a key in a set or a dict's keys would be compared in variable time

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key does not pickle")


@dataclass(frozen=True, slots=True)
class IndexKeys:
    """The four keys of one index in one epoch."""

    tag: Key
    bin: Key
    cell: Key
    ledger: Key

    @classmethod
    def derive(cls, data_key: Key, dataset: str, index: str) -> IndexKeys:
        """Derives them from the epoch's data key.

        HKDF-Expand alone is enough: a data key is uniformly random, so there is nothing to extract (RFC 5869 §3.3).
        """
        labels = (TAG_LABEL, BIN_LABEL, CELL_LABEL, LEDGER_LABEL)
        return cls(*(expand(data_key, label, dataset, index) for label in labels))


def context(label: bytes, *parts: str | bytes) -> bytes:
    """A label and its parts as one string of bytes that no other label and parts give.

    Each element is preceded by its length (u32, big endian), so that ("ab", "c") and ("a", "bc") differ.
    """
    encoded = (part.encode() if isinstance(part, str) else part for part in (label, *parts))
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def expand(data_key: Key, label: bytes, *parts: str) -> Key:
    """A key for one purpose, which the label and its parts name (HKDF-Expand, as above)."""
    info = context(label, *parts)
    return Key(HKDFExpand(hashes.SHA256(), KEY_BYTES, info).derive(data_key.reveal()))
