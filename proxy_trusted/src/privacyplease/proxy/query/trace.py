"""The trace of one question: which tags were sent, which cells came back, and how much of them is in the answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.rollups import Rollup
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag

MOST_SHOWN = 64
HEAD_BYTES = 64


@dataclass
class ShownCell:
    """A cell, its group of columns, how many records or sketches it holds, and how many of them are in the answer."""

    cell: Cell
    group: Group
    opened: int = 0
    kept: int = 0


class Trace:
    """Records what happens while a question is answered: counts, and the first cells.

    Attributes:
        cells: How many tags were asked for, and so how many cells came, by group.
        bytes: How many bytes of ciphertext all cells have.
        first: The first cells, ascending by tag within a call.
        opened: How many records were in the cells.
        kept: How many of them are in the answer; a record that was ingested twice counts twice.
        sketches_opened: How many sketches were in the roll-ups.
        sketches_kept: How many of them are of the places that were asked about.
    """

    def __init__(self) -> None:
        self.cells = dict.fromkeys(Group, 0)
        self.bytes = self.opened = self.kept = self.sketches_opened = self.sketches_kept = 0
        self.first: list[ShownCell] = []
        self._shown: dict[Tag, ShownCell] = {}

    def fetched(self, cells: Mapping[Tag, tuple[Group, Sealed]]) -> None:
        """Records the cells that one call returned."""
        for tag, (group, sealed) in sorted(cells.items()):
            self.cells[group] += 1
            self.bytes += len(sealed)
            if len(self.first) < MOST_SHOWN:
                self._shown[tag] = ShownCell(Cell(tag, sealed), group)
                self.first.append(self._shown[tag])

    def saw(self, tag: Tag, records: int, kept: int) -> None:
        """Records how many records a cell has, and how many are in the answer."""
        self.opened += records
        self.kept += kept
        self._show(tag, records, kept)

    def saw_rollup(self, tag: Tag, rollup: Rollup) -> None:
        """Records a roll-up."""
        self.sketches_opened += len(rollup)
        self._show(tag, len(rollup), 0)

    def kept_sketches(self, rollups: Iterable[Rollup], places: Collection[str] | None) -> None:
        """Records which sketches are in the answer."""
        self.sketches_kept += sum(1 for rollup in rollups for _ in rollup.sketches(places))

    def _show(self, tag: Tag, opened: int, kept: int) -> None:
        if cell := self._shown.get(tag):
            cell.opened, cell.kept = opened, kept
