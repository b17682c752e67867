"""A witness of one question: which tags went out, which cells came back, and how much of them belongs to the answer.

A cell holds records, or, if it is a roll-up, sketches: who was at one place during a run.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from privacyplease.storage.v1 import storage_service_pb2 as pb

MOST_SHOWN = 64
HEAD_BYTES = 64


class Seen(NamedTuple):
    """A cell, whether it is a roll-up, and how many of its records or sketches belong to the answer."""

    cell: pb.Cell
    opened: int
    kept: int
    rollup: bool


class Tally:
    """Counts of cells of one kind.

    Attributes:
        tags: How many tags were asked for.
        cells: How many cells came.
        opened: What was in them: records, or sketches.
        kept: What of it belongs to the answer.
    """

    def __init__(self) -> None:
        self.tags = self.cells = self.opened = self.kept = 0


class Witness:
    """Looks on while a question is answered. It keeps counts, and of tags and cells the first alone.

    Attributes:
        records: Cells with records.
        rollups: Roll-ups.
        first_tags: The first tags of both, ascending.
        bytes: The ciphertext of all cells.
        first_cells: The first of them.
    """

    def __init__(self) -> None:
        self.records, self.rollups = Tally(), Tally()
        self.first_tags: list[bytes] = []
        self.bytes = 0
        self.first_cells: list[Seen] = []

    def asked(self, tags: Collection[bytes], *, rollups: bool = False) -> None:
        """Notes tags that are asked for."""
        self._tally(rollups).tags += len(tags)
        self.first_tags = sorted({*self.first_tags, *tags})[:MOST_SHOWN]

    def saw(self, cell: pb.Cell, opened: int, kept: int, *, rollup: bool = False) -> None:
        """Notes a cell that was opened."""
        tally = self._tally(rollup)
        tally.cells += 1
        tally.opened += opened
        tally.kept += kept
        self.bytes += len(cell.sealed)
        if len(self.first_cells) < MOST_SHOWN:
            self.first_cells.append(Seen(cell, opened, kept, rollup))

    def _tally(self, rollups: bool) -> Tally:
        return self.rollups if rollups else self.records
