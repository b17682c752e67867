"""What the server stores: cells, and the tags that they are found by.

>>> Cell(tag=bytes(16), sealed=b"opaque")
Cell(6 sealed bytes)
"""

from __future__ import annotations

from typing import NamedTuple

TAG_BYTES = 16
"""The length of a tag (storage_service.proto, `Cell`)."""

Tags = tuple[bytes, ...]
"""The tags of a predicate: distinct, ascending."""


class Cell(NamedTuple):
    """A sealed group of columns, which cannot be opened on this machine. No other stored cell has its tag."""

    tag: bytes
    sealed: bytes

    def __repr__(self) -> str:
        """Shows no bytes: tags must not get into a log."""
        return f"Cell({len(self.sealed):,} sealed bytes)"
