"""Detects the layout of a log: where its header is, what separates its fields, and which column is which."""

import csv
from typing import NamedTuple

from privacyplease.ingest.errors import LayoutError
from privacyplease.ingest.wifi.columns import COLUMNS, REQUIRED, STREAM_COLUMNS, STREAM_FIELDS, column_titled

__all__ = ["STREAM_LAYOUT", "Layout", "detect"]


class Layout(NamedTuple):
    """How the lines of a log are laid out.

    Attributes:
        delimiter: What separates fields.
        columns: For each field the name of its column, or None if it is ignored.
        ignored: Titles of the ignored fields.
        preamble: How many lines precede the first record.
        optional: How many fields at the end may be missing.
    """

    delimiter: str
    columns: tuple[str | None, ...]
    ignored: tuple[str, ...] = ()
    preamble: int = 0
    optional: int = 0

    @property
    def field_counts(self) -> str:
        """How many fields a line may have, as text for messages."""
        return " or ".join(str(len(self.columns) - missing) for missing in range(self.optional, -1, -1))


STREAM_LAYOUT = Layout("\t", tuple(column.name for column in STREAM_COLUMNS), optional=1)
"""The stream format: tab-separated, without a header."""


def detect(head: bytes) -> Layout:
    """Detects the layout from the start of a log.

    Args:
        head: The start of the log, long enough to hold the title lines and the header. May end within a line.

    Raises:
        LayoutError: If there is neither a header nor a line of the stream format, or a required column is missing.
    """
    lines = head.decode(errors="replace").replace("\r", "").split("\n")
    for number, line in enumerate(lines, start=1):
        for delimiter in (",", "\t"):
            titles = _fields(line, delimiter)
            # Two, since a title line may contain one by chance, and a header that lacks a column is still a header.
            if sum(column_titled(title) is not None for title in titles) >= 2:
                return _with_header(titles, delimiter, number)
        if line.count("\t") + 1 in STREAM_FIELDS:
            return STREAM_LAYOUT
    if not head.strip():
        return STREAM_LAYOUT  # empty, in any layout
    raise LayoutError(f"expected a header line with {_listed(REQUIRED)}, got none in the first {len(lines):,} lines")


def _with_header(titles: list[str], delimiter: str, preamble: int) -> Layout:
    columns: list[str | None] = []
    for title in titles:
        name = column_titled(title)
        columns.append(None if name in columns else name)  # of two columns with one name, the first counts
    if missing := [name for name in REQUIRED if name not in columns]:
        raise LayoutError(f"expected the columns {_listed(missing)} in the header, got: {', '.join(titles)}")
    ignored = tuple(title for title, name in zip(titles, columns, strict=True) if name is None)
    return Layout(delimiter, tuple(columns), ignored, preamble)


def _fields(line: str, delimiter: str) -> list[str]:
    return [field.strip() for fields in csv.reader([line], delimiter=delimiter) for field in fields]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(repr(column.title) for column in COLUMNS if column.name in names)
