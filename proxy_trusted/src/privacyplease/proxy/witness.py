"""A witness of one question: which tags went out, which cells came back, and how much of them belongs to the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from privacyplease.storage.v1 import storage_service_pb2 as pb

MOST_SHOWN = 64
HEAD_BYTES = 64


class Seen(NamedTuple):
    """A cell, and how many of its records belong to the answer."""

    cell: pb.Cell
    opened: int
    kept: int


class Witness:
    """Looks on while a question is answered. It keeps counts, and of tags and cells the first alone.

    Attributes:
        tags: How many tags were asked for.
        first_tags: The first of them, ascending.
        cells: How many cells came.
        bytes: Their ciphertext.
        first_cells: The first of them.
        opened: Records in all cells.
        kept: Records that belong to the answer.
    """

    def __init__(self) -> None:
        self.tags = 0
        self.first_tags: list[bytes] = []
        self.cells = self.bytes = self.opened = self.kept = 0
        self.first_cells: list[Seen] = []

    def asked(self, tags: Iterable[bytes]) -> None:
        """Notes the tags of the question."""
        ordered = sorted(tags)
        self.tags, self.first_tags = len(ordered), ordered[:MOST_SHOWN]

    def saw(self, cell: pb.Cell, opened: int, kept: int) -> None:
        """Notes a cell that was opened."""
        self.cells += 1
        self.bytes += len(cell.sealed)
        self.opened += opened
        self.kept += kept
        if len(self.first_cells) < MOST_SHOWN:
            self.first_cells.append(Seen(cell, opened, kept))
