"""What the server stores: cells, and the names they are found by.

>>> Cell(tag=bytes(16), cell_id=bytes(16), sealed=b"opaque")
Cell(6 sealed bytes)
"""

from __future__ import annotations

from typing import NamedTuple

NAME_BYTES = 16
"""The length of a tag and of a cell id (storage_service.proto, `Cell`)."""

Tags = tuple[bytes, ...]
"""The tags of a predicate: distinct, ascending."""


class CellRef(NamedTuple):
    """Names one cell. Ordered as the store orders cells: by tag, then by cell id."""

    tag: bytes
    cell_id: bytes

    def __repr__(self) -> str:
        """Shows no bytes: tags must not reach a log."""
        return "CellRef(masked)"


class Cell(NamedTuple):
    """A sealed page of records, which nobody on this machine can open."""

    tag: bytes
    cell_id: bytes
    sealed: bytes

    @property
    def ref(self) -> CellRef:
        """The cell's name."""
        return CellRef(self.tag, self.cell_id)

    def __repr__(self) -> str:
        """Shows no bytes: tags must not reach a log."""
        return f"Cell({len(self.sealed):,} sealed bytes)"
