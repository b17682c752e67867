"""Finds out how a log is laid out: where its header is, what separates its fields, and which column is which."""

import csv
from typing import NamedTuple

from privacyplease.ingest.errors import LayoutError
from privacyplease.ingest.wifi.columns import COLUMNS, REQUIRED, STREAM_FIELDS, column_of

__all__ = ["STREAM", "Layout", "detect"]


class Layout(NamedTuple):
    """How the lines of a log are laid out.

    Attributes:
        delimiter: What separates fields.
        columns: For each field the name of its column, or None where it is not read.
        ignored: Titles of the fields that are not read.
        preamble: How many lines stand before the first record.
        optional: How many fields at the end may be missing.
    """

    delimiter: str
    columns: tuple[str | None, ...]
    ignored: tuple[str, ...] = ()
    preamble: int = 0
    optional: int = 0

    @property
    def sizes(self) -> str:
        """How many fields a line may have, in words."""
        return " or ".join(str(len(self.columns) - missing) for missing in range(self.optional, -1, -1))


STREAM = Layout("\t", tuple(column.name for column in COLUMNS), optional=1)
"""The stream form: tab separated, without a header."""


def detect(head: bytes) -> Layout:
    """Finds the layout from the beginning of a log.

    Args:
        head: The beginning of the log, long enough to hold the title lines and the header. May end within a line.

    Raises:
        LayoutError: If there is neither a header nor a line of the stream form, or if the header lacks a column.
    """
    lines = head.decode(errors="replace").replace("\r", "").split("\n")
    for number, line in enumerate(lines, start=1):
        for delimiter in (",", "\t"):
            titles = _fields(line, delimiter)
            # Two, since a title line may hold one by chance, and a header that lacks a column is still a header.
            if sum(column_of(title) is not None for title in titles) >= 2:
                return _with_header(titles, delimiter, number)
        if line.count("\t") + 1 in STREAM_FIELDS:
            return STREAM
    if not head.strip():
        return STREAM  # nothing to read, in any layout
    raise LayoutError(f"expected a header line with {_listed(REQUIRED)}, got none in the first {len(lines):,} lines")


def _with_header(titles: list[str], delimiter: str, preamble: int) -> Layout:
    columns: list[str | None] = []
    for title in titles:
        name = column_of(title)
        columns.append(None if name in columns else name)  # of two columns with one name the first is read
    if missing := [name for name in REQUIRED if name not in columns]:
        raise LayoutError(f"expected the columns {_listed(missing)} too, got the header: {', '.join(titles)}")
    ignored = tuple(title for title, name in zip(titles, columns, strict=True) if name is None)
    return Layout(delimiter, tuple(columns), ignored, preamble)


def _fields(line: str, delimiter: str) -> list[str]:
    return [field.strip() for fields in csv.reader([line], delimiter=delimiter) for field in fields]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(repr(column.title) for column in COLUMNS if column.name in names)
