"""Changes to the manifest: what one transaction does to its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from privacyplease.proxy.manifest.rows import ManifestRow, SegmentState
from privacyplease.proxy.segments.groups import SegmentId


class SegmentName(NamedTuple):
    """Names a segment of a data set."""

    dataset: str
    number: SegmentId


class Move(NamedTuple):
    """Moves a segment from one state to another."""

    name: SegmentName
    before: SegmentState
    after: SegmentState


class StaleError(Exception):
    """A segment is no longer in the state that a change expects: another change came first. Nothing was changed.

    Or the number of a new segment was reserved too long ago, and it needs another one.
    """


@dataclass(frozen=True)
class Change:
    """What one transaction does, all or nothing.

    Attributes:
        added: New rows.
        moved: Segments that change their state.
        removed: Segments whose rows are deleted, whatever their state.
    """

    added: Sequence[ManifestRow] = ()
    moved: Sequence[Move] = ()
    removed: Sequence[SegmentName] = ()

    @property
    def names(self) -> list[SegmentName]:
        """Every segment that it changes."""
        rows = [SegmentName(row.dataset, row.number) for row in self.added]
        return [*rows, *(move.name for move in self.moved), *self.removed]


def moves(rows: Iterable[ManifestRow], after: SegmentState) -> list[Move]:
    """Moves segments from their present states to another."""
    return [Move(SegmentName(row.dataset, row.number), row.state, after) for row in rows]


def removals(rows: Iterable[ManifestRow]) -> list[SegmentName]:
    """The names of segments whose rows are to be deleted."""
    return [SegmentName(row.dataset, row.number) for row in rows]
