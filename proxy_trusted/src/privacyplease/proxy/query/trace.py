"""The trace of one question: which tags went out, which cells came back, and how much of them belongs to the answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.rollups import Rollup
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag

MOST_SHOWN = 64
HEAD_BYTES = 64


@dataclass
class Seen:
    """A cell, which group of columns it holds, how many records or sketches, and how many of them were asked about."""

    cell: Cell
    group: Group
    opened: int = 0
    kept: int = 0


class Trace:
    """Looks on while a question is answered. It keeps counts, and of cells the first alone.

    Attributes:
        cells: How many tags were asked for, and so how many cells came, by group.
        bytes: The ciphertext of all cells.
        first: The first cells, ascending by tag within a call.
        opened: How many records were in the cells.
        kept: How many of them belong to the answer; a record that was sent twice counts twice.
        sketches_opened: How many sketches were in the roll-ups.
        sketches_kept: How many of them are of the places that were asked about.
    """

    def __init__(self) -> None:
        self.cells = dict.fromkeys(Group, 0)
        self.bytes = self.opened = self.kept = self.sketches_opened = self.sketches_kept = 0
        self.first: list[Seen] = []
        self._shown: dict[Tag, Seen] = {}

    def fetched(self, cells: Mapping[Tag, tuple[Group, Sealed]]) -> None:
        """Notes what came of one call."""
        for tag, (group, sealed) in sorted(cells.items()):
            self.cells[group] += 1
            self.bytes += len(sealed)
            if len(self.first) < MOST_SHOWN:
                self._shown[tag] = Seen(Cell(tag, sealed), group)
                self.first.append(self._shown[tag])

    def saw(self, tag: Tag, records: int, kept: int) -> None:
        """Notes the records of a cell."""
        self.opened += records
        self.kept += kept
        self._note(tag, records, kept)

    def saw_rollup(self, tag: Tag, rollup: Rollup) -> None:
        """Notes a roll-up."""
        self.sketches_opened += len(rollup)
        self._note(tag, len(rollup), 0)

    def kept_sketches(self, rollups: Iterable[Rollup], places: Collection[str] | None) -> None:
        """Notes which sketches belong to the answer."""
        self.sketches_kept += sum(1 for rollup in rollups for _ in rollup.sketches(places))

    def _note(self, tag: Tag, opened: int, kept: int) -> None:
        if seen := self._shown.get(tag):
            seen.opened, seen.kept = opened, kept
