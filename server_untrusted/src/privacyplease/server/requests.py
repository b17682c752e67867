"""Requests, checked against their contract before they reach the store.

Every check is about lengths and counts: the server understands nothing else about a tag or a cell.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter

from privacyplease.server.cells import TAG_BYTES, Cell, Tags
from privacyplease.server.errors import (
    CellTooLargeError,
    InvalidRequestError,
    PredicateTooLargeError,
    TooManyCellsError,
    Violation,
)
from privacyplease.server.limits import Limits
from privacyplease.storage.v1 import storage_service_pb2 as pb

_TAGS = "predicate.any_of_tags.tags"
_MAX_VIOLATIONS = 16  # they are sent in a trailer, and gRPC limits all trailers of a call to 8 KiB


def cells_to_append(request: pb.AppendRequest, limits: Limits) -> list[Cell]:
    """The cells of an append, in ascending order.

    Raises:
        InvalidRequestError: There are none, or one breaks a rule.
        TooManyCellsError: There are more than the server accepts.
        CellTooLargeError: One is larger than the server stores.
    """
    _refuse(_no_entries("cells", request.cells))
    if len(request.cells) > limits.max_cells_per_append:
        raise TooManyCellsError("cells", cells=len(request.cells), limit=limits.max_cells_per_append)
    cells = [Cell(cell.tag, cell.sealed) for cell in request.cells]
    _refuse(_bad_tags("cells[{}].tag", (cell.tag for cell in cells)), _empty(cells))
    for position, cell in enumerate(cells):
        if len(cell.sealed) > limits.max_cell_bytes:
            raise CellTooLargeError(f"cells[{position}].sealed", size=len(cell.sealed), limit=limits.max_cell_bytes)
    # Ascending, because that suits the B-tree and makes two calls lock rows in the same order. The sort is stable: of
    # two cells with the same tag the first one is stored, as if they had been sent in two calls.
    return sorted(cells, key=attrgetter("tag"))


def tags_of(predicate: pb.Predicate, limits: Limits) -> Tags:
    """The tags that a predicate names, distinct and ascending.

    Raises:
        InvalidRequestError: The predicate has no kind or no tags, or a tag is not 16 bytes.
        PredicateTooLargeError: It names more tags than the server accepts.
    """
    if predicate.WhichOneof("kind") is None:
        raise InvalidRequestError(Violation("predicate", "expected one kind, got none"))
    tags = predicate.any_of_tags.tags
    if len(tags) > limits.max_tags_per_predicate:
        raise PredicateTooLargeError(_TAGS, tags=len(tags), limit=limits.max_tags_per_predicate)
    _refuse(_no_entries(_TAGS, tags), _bad_tags(_TAGS + "[{}]", tags))
    return tuple(sorted(set(tags)))


def tags_after(cursor: bytes, tags: Tags) -> Tags:
    """The tags that a selection still has to look up: all of them at first, or those after its cursor.

    Raises:
        InvalidRequestError: The cursor cannot be from a page of this predicate.
    """
    if not cursor:
        return tags
    position = bisect_right(tags, cursor)
    if position == 0 or tags[position - 1] != cursor:
        raise InvalidRequestError(Violation("cursor", "expected a cursor of this predicate, got another value"))
    return tags[position:]


def _refuse(*checks: Iterator[Violation]) -> None:
    violations = list(islice(chain(*checks), _MAX_VIOLATIONS))
    if violations:
        raise InvalidRequestError(*violations)


def _no_entries(field: str, entries: Sequence[object]) -> Iterator[Violation]:
    if not entries:
        yield Violation(field, "expected at least 1 entry, got 0")


def _bad_tags(field: str, tags: Iterable[bytes]) -> Iterator[Violation]:
    """Those of the wrong length; `field` has "{}" for their position."""
    return (
        Violation(field.format(position), f"expected {TAG_BYTES} bytes, got {len(tag):,}")
        for position, tag in enumerate(tags)
        if len(tag) != TAG_BYTES
    )


def _empty(cells: Sequence[Cell]) -> Iterator[Violation]:
    return (
        Violation(f"cells[{position}].sealed", "expected at least 1 byte, got 0")
        for position, cell in enumerate(cells)
        if not cell.sealed
    )
