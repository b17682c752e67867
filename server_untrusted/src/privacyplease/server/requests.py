"""Requests, checked against their contract before the store sees any of them.

Every check reads lengths and counts: there is nothing else about a tag or a cell that this server understands.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
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
_MOST_VIOLATIONS = 16  # they travel in a trailer, and gRPC bounds all trailers of a call to 8 KiB


def cells_to_append(request: pb.AppendRequest, limits: Limits) -> list[Cell]:
    """The cells of an append, in ascending order.

    Raises:
        InvalidRequestError: there are none, or one breaks a rule.
        TooManyCellsError: there are more than the server takes.
        CellTooLargeError: one is larger than the server stores.
    """
    _refuse(_no_entries("cells", request.cells))
    if len(request.cells) > limits.max_cells_per_append:
        raise TooManyCellsError("cells", cells=len(request.cells), limit=limits.max_cells_per_append)
    cells = [Cell(cell.tag, cell.sealed) for cell in request.cells]
    _refuse(_bad_tags("cells[{}].tag", (cell.tag for cell in cells)), _empty(cells))
    for at, cell in enumerate(cells):
        if len(cell.sealed) > limits.max_cell_bytes:
            raise CellTooLargeError(f"cells[{at}].sealed", size=len(cell.sealed), limit=limits.max_cell_bytes)
    # Ascending, because that is kind to the B-tree and lets two calls lock rows in the same order. The sort is stable:
    # of two cells with the same tag the first one counts, as if they had come in two calls.
    return sorted(cells, key=attrgetter("tag"))


def tags_of(predicate: pb.Predicate, limits: Limits) -> Tags:
    """The tags that a predicate names, distinct and ascending.

    Raises:
        InvalidRequestError: the predicate has no kind or no tags, or a tag is not 16 bytes.
        PredicateTooLargeError: it names more tags than the server takes.
    """
    if predicate.WhichOneof("kind") is None:
        raise InvalidRequestError(Violation("predicate", "expected one kind, got none"))
    tags = predicate.any_of_tags.tags
    if len(tags) > limits.max_tags_per_predicate:
        raise PredicateTooLargeError(_TAGS, tags=len(tags), limit=limits.max_tags_per_predicate)
    _refuse(_no_entries(_TAGS, tags), _bad_tags(_TAGS + "[{}]", tags))
    return tuple(sorted(set(tags)))


def tags_after(cursor: bytes, tags: Tags) -> Tags:
    """The tags that a selection still has to look up: all of them to begin, or those after its cursor.

    Raises:
        InvalidRequestError: the cursor cannot come from a page of this predicate.
    """
    if not cursor:
        return tags
    at = bisect_right(tags, cursor)
    if at == 0 or tags[at - 1] != cursor:
        raise InvalidRequestError(Violation("cursor", "expected a cursor of this predicate, got another value"))
    return tags[at:]


def _refuse(*findings: Iterator[Violation]) -> None:
    violations = [violation for found in findings for violation in islice(found, _MOST_VIOLATIONS)]
    if violations:
        raise InvalidRequestError(*violations[:_MOST_VIOLATIONS])


def _no_entries(field: str, entries: Sequence[object]) -> Iterator[Violation]:
    if not entries:
        yield Violation(field, "expected at least 1 entry, got 0")


def _bad_tags(field: str, tags: Iterable[bytes]) -> Iterator[Violation]:
    """Whichever is no tag; `field` has "{}" for its place."""
    return (
        Violation(field.format(at), f"expected {TAG_BYTES} bytes, got {len(tag):,}")
        for at, tag in enumerate(tags)
        if len(tag) != TAG_BYTES
    )


def _empty(cells: Sequence[Cell]) -> Iterator[Violation]:
    return (
        Violation(f"cells[{at}].sealed", "expected at least 1 byte, got 0")
        for at, cell in enumerate(cells)
        if not cell.sealed
    )
