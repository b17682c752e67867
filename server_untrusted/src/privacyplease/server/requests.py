"""Requests, checked against their contract before the store sees any of them.

Every check reads lengths and counts: there is nothing else about a tag or a cell that this server understands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from privacyplease.server.cells import NAME_BYTES, Cell, CellRef, Tags
from privacyplease.server.errors import (
    CellTooLargeError,
    InvalidRequestError,
    PredicateTooLargeError,
    TooManyCellsError,
    Violation,
)
from privacyplease.server.limits import Limits
from privacyplease.server.pages import ref_at
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
    return _checked_cells("cells", request.cells, limits)


def cells_to_replace(request: pb.ReplaceRequest, limits: Limits) -> tuple[list[CellRef], list[Cell]]:
    """What a replacement removes and what it adds, each in ascending order.

    Raises:
        InvalidRequestError: nothing is removed, a cell is named twice, or an entry breaks a rule.
        TooManyCellsError: either list is longer than the server takes.
        CellTooLargeError: an added cell is larger than the server stores.
    """
    _refuse(_no_entries("remove", request.remove))
    _bound_cells("remove", len(request.remove), limits)
    remove = [CellRef(ref.tag, ref.cell_id) for ref in request.remove]
    _refuse(_bad_refs("remove", remove), _repeated("remove", remove))
    return sorted(remove), _checked_cells("add", request.add, limits)


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
    _refuse(_no_entries(_TAGS, tags), _bad_tags(_TAGS, tags))
    return tuple(sorted(set(tags)))


def position_of(cursor: bytes, tags: Tags) -> CellRef | None:
    """The cell after which a selection resumes; None to begin.

    Raises:
        InvalidRequestError: the cursor cannot come from a page of this predicate.
    """
    if not cursor:
        return None
    ref = ref_at(cursor)
    if ref is None or ref.tag not in tags:
        raise InvalidRequestError(Violation("cursor", "expected a cursor of this predicate, got another value"))
    return ref


def _checked_cells(field: str, messages: Sequence[pb.Cell], limits: Limits) -> list[Cell]:
    _bound_cells(field, len(messages), limits)
    cells = [Cell(cell.tag, cell.cell_id, cell.sealed) for cell in messages]
    _refuse(_bad_refs(field, cells), _empty(field, cells))
    for at, cell in enumerate(cells):
        if len(cell.sealed) > limits.max_cell_bytes:
            raise CellTooLargeError(f"{field}[{at}].sealed", size=len(cell.sealed), limit=limits.max_cell_bytes)
    # Ascending, because that is kind to the B-tree and lets two calls lock rows in the same order. The sort is stable:
    # of two cells with the same name the first one counts, as if they had come in two calls.
    return sorted(cells, key=lambda cell: cell[:2])


def _bound_cells(field: str, cells: int, limits: Limits) -> None:
    if cells > limits.max_cells_per_append:
        raise TooManyCellsError(field, cells=cells, limit=limits.max_cells_per_append)


def _refuse(*findings: Iterator[Violation]) -> None:
    violations = [violation for found in findings for violation in islice(found, _MOST_VIOLATIONS)]
    if violations:
        raise InvalidRequestError(*violations[:_MOST_VIOLATIONS])


def _no_entries(field: str, entries: Sequence[object]) -> Iterator[Violation]:
    if not entries:
        yield Violation(field, "expected at least 1 entry, got 0")


def _bad_tags(field: str, tags: Iterable[bytes]) -> Iterator[Violation]:
    return (_bad_length(f"{field}[{at}]", tag) for at, tag in enumerate(tags) if len(tag) != NAME_BYTES)


def _bad_refs(field: str, refs: Sequence[CellRef | Cell]) -> Iterator[Violation]:
    for at, ref in enumerate(refs):
        if len(ref.tag) != NAME_BYTES:
            yield _bad_length(f"{field}[{at}].tag", ref.tag)
        if len(ref.cell_id) != NAME_BYTES:
            yield _bad_length(f"{field}[{at}].cell_id", ref.cell_id)


def _empty(field: str, cells: Sequence[Cell]) -> Iterator[Violation]:
    return (
        Violation(f"{field}[{at}].sealed", "expected at least 1 byte, got 0")
        for at, cell in enumerate(cells)
        if not cell.sealed
    )


def _repeated(field: str, refs: Sequence[CellRef]) -> Iterator[Violation]:
    times = Counter(refs)
    return (
        Violation(f"{field}[{at}]", f"expected each cell once, got this one {times[ref]:,} times")
        for at, ref in enumerate(refs)
        if times[ref] > 1
    )


def _bad_length(field: str, name: bytes) -> Violation:
    return Violation(field, f"expected {NAME_BYTES} bytes, got {len(name):,}")
