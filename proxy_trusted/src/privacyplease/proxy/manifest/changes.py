"""Changes of the manifest: what one transaction does to its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from privacyplease.proxy.manifest.rows import Row, State
from privacyplease.proxy.segments.groups import SegmentId


class SegmentName(NamedTuple):
    """A segment of a data set."""

    dataset: str
    number: SegmentId


class Move(NamedTuple):
    """Takes a segment from one state to another."""

    name: SegmentName
    before: State
    after: State


class StaleError(Exception):
    """A segment is not in the state any more that a change expects: somebody else came first. Nothing was changed.

    Or the number of a new segment has waited for too long, and another must be taken.
    """


@dataclass(frozen=True)
class Change:
    """What is done in one transaction, all or nothing.

    Attributes:
        added: New rows.
        moved: Segments that change their state.
        removed: Segments that are gone, whatever their state.
    """

    added: Sequence[Row] = ()
    moved: Sequence[Move] = ()
    removed: Sequence[SegmentName] = ()

    @property
    def names(self) -> list[SegmentName]:
        """Every segment that it changes."""
        rows = [SegmentName(row.dataset, row.number) for row in self.added]
        return [*rows, *(move.name for move in self.moved), *self.removed]


def moves(rows: Iterable[Row], after: State) -> list[Move]:
    """Takes segments from the state that they are in to another."""
    return [Move(SegmentName(row.dataset, row.number), row.state, after) for row in rows]


def removals(rows: Iterable[Row]) -> list[SegmentName]:
    """The names of segments that are gone."""
    return [SegmentName(row.dataset, row.number) for row in rows]
