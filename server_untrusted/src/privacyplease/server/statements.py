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

from collections.abc import Iterator

from privacyplease.server.cells import Tags

_TAGS_PER_STATEMENT = 500


def literal(value: bytes) -> str:
    """A byte string as an SQL literal."""
    return f"X'{value.hex()}'"


def select(tags: Tags) -> Iterator[str]:
    """Statements that read the cells of these tags in ascending order."""
    return (f"SELECT tag, sealed FROM cells WHERE {matching} ORDER BY tag" for matching in _any_of(tags))


def measure(tags: Tags) -> Iterator[str]:
    """Statements that count the cells of these tags and sum up their lengths."""
    for matching in _any_of(tags):
        # The stored length, because LENGTH(sealed) makes InnoDB read every page of every large cell.
        yield f"SELECT COUNT(*), COALESCE(SUM(sealed_bytes), 0) FROM cells WHERE {matching}"


def delete(tags: Tags) -> Iterator[str]:
    """Statements that remove the cells of these tags."""
    return (f"DELETE FROM cells WHERE {matching}" for matching in _any_of(tags))


def _any_of(tags: Tags) -> Iterator[str]:
    for start in range(0, len(tags), _TAGS_PER_STATEMENT):
        yield f"tag IN ({','.join(map(literal, tags[start : start + _TAGS_PER_STATEMENT]))})"
