"""The SQL that every supported database speaks, as text.

Values are written into the statements as hexadecimal literals: they are bytes that this server has never interpreted,
their alphabet is [0-9a-f] whatever they hold, and every database reads `X'…'` alike.

Tags go into statements of at most 500. MariaDB turns an IN list of 1,000 values and more into a join with a temporary
table (`in_predicate_conversion_threshold`), and MySQL gives up ranges when they outgrow
`range_optimizer_max_mem_size`; below both, every statement here is a set of ranges of the primary key.

>>> print(*measure((bytes(16),)))
SELECT COUNT(*), COALESCE(SUM(sealed_bytes), 0) FROM cells WHERE tag IN (X'00000000000000000000000000000000')
"""

# ruff: noqa: S608 (statements are text here, and every value in them is a hexadecimal literal)
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from privacyplease.server.cells import CellRef, Tags

_NAMES_PER_STATEMENT = 500


def literal(value: bytes) -> str:
    """A byte string as an SQL literal."""
    return f"X'{value.hex()}'"


def select(tags: Tags, after: CellRef | None) -> Iterator[str]:
    """Statements that read the cells of these tags in ascending order, from after a position.

    All cells of one tag are read by one statement, hence from one state of the store: a replacement is seen whole or
    not at all.
    """
    if after is not None:
        yield _select(f"tag = {literal(after.tag)} AND cell_id > {literal(after.cell_id)}")
        tags = tags[bisect_right(tags, after.tag) :]
    yield from map(_select, _any_of(tags))


def measure(tags: Tags) -> Iterator[str]:
    """Statements that count the cells of these tags and sum up their lengths."""
    for matching in _any_of(tags):
        # The stored length, because LENGTH(sealed) makes InnoDB read every page of every large cell.
        yield f"SELECT COUNT(*), COALESCE(SUM(sealed_bytes), 0) FROM cells WHERE {matching}"


def delete(tags: Tags) -> Iterator[str]:
    """Statements that remove every cell of these tags."""
    return (f"DELETE FROM cells WHERE {matching}" for matching in _any_of(tags))


def remove(refs: Sequence[CellRef]) -> Iterator[str]:
    """Statements that remove these cells."""
    for start in range(0, len(refs), _NAMES_PER_STATEMENT):
        # ORs of equalities and not a list of row values, which some databases answer by a scan.
        named = " OR ".join(map(_is, refs[start : start + _NAMES_PER_STATEMENT]))
        yield f"DELETE FROM cells WHERE {named}"


def _select(matching: str) -> str:
    return f"SELECT tag, cell_id, sealed FROM cells WHERE {matching} ORDER BY tag, cell_id"


def _any_of(tags: Tags) -> Iterator[str]:
    for start in range(0, len(tags), _NAMES_PER_STATEMENT):
        yield f"tag IN ({','.join(map(literal, tags[start : start + _NAMES_PER_STATEMENT]))})"


def _is(ref: CellRef) -> str:
    return f"(tag = {literal(ref.tag)} AND cell_id = {literal(ref.cell_id)})"
