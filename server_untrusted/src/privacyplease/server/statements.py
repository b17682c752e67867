"""The SQL that all supported databases have in common, as text.

Values are written into the statements as hexadecimal literals: they are bytes that this server never interprets, their
alphabet is [0-9a-f] whatever they hold, and every database reads `X'…'` in the same way.

A statement holds at most 500 tags. From 1,000 values, MariaDB turns an IN list into a join with a temporary table
(`in_predicate_conversion_threshold`), and MySQL gives up range access when the list outgrows
`range_optimizer_max_mem_size`; below both bounds, every statement here is a set of ranges of the primary key.

>>> print(*measure((bytes(16),)))
SELECT COUNT(*), COALESCE(SUM(sealed_bytes), 0) FROM cells WHERE tag IN (X'00000000000000000000000000000000')
"""

# ruff: noqa: S608 (every value in these statements is a hexadecimal literal)
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
    """Statements that count the cells of these tags and add up their lengths."""
    for matching in _any_of(tags):
        # The stored length: LENGTH(sealed) would make InnoDB read every page of every large cell.
        yield f"SELECT COUNT(*), COALESCE(SUM(sealed_bytes), 0) FROM cells WHERE {matching}"


def delete(tags: Tags) -> Iterator[str]:
    """Statements that remove the cells of these tags."""
    return (f"DELETE FROM cells WHERE {matching}" for matching in _any_of(tags))


def _any_of(tags: Tags) -> Iterator[str]:
    for start in range(0, len(tags), _TAGS_PER_STATEMENT):
        yield f"tag IN ({','.join(map(literal, tags[start : start + _TAGS_PER_STATEMENT]))})"
