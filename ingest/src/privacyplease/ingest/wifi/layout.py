"""Detects the layout of a log: where its header is, what separates its fields, and which column is which."""

import csv
from typing import NamedTuple

from privacyplease.ingest.errors import LayoutError
from privacyplease.ingest.wifi.columns import (
    COLUMNS,
    REQUIRED,
    STREAM_COLUMNS,
    STREAM_FIELDS,
    column_titled,
    is_canonical,
)

__all__ = ["DELIMITERS", "MOST_HEADER_CHARACTERS", "STREAM_LAYOUT", "Layout", "detect", "header"]

DELIMITERS = (",", "\t", ";", "|")
"""What may separate the fields of a log with a header."""

MOST_HEADER_CHARACTERS = 64 << 10
"""How much of a log is searched for its header: enough for the title lines and the header of any report."""

_OTHER_CONTENT = {
    b"<": "a page or XML: was the page of a log-in saved in its place?",
    b"{": "JSON: export it as CSV",
    b"[": "JSON: export it as CSV",
}


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

    The header is the first line with the titles of all required columns; a log without one may have the stream format.

    Args:
        head: The start of the log, long enough to hold the title lines and the header. May end within a line.

    Raises:
        LayoutError: If there is neither a header nor a line of the stream format, a required column is missing, or two
            columns are equally good for one role. Names only titles that we know, since the rest may be records.
    """
    lines = head.decode(errors="replace").replace("\r", "").split("\n")
    most: list[str] = []
    for number, line in enumerate(lines, start=1):
        for delimiter in DELIMITERS:
            titles = _fields(line, delimiter)
            known = [title for title in titles if column_titled(title)]
            if _has_required(known):
                return _with_header(titles, delimiter, number)
            most = max(most, known, key=len)
    if any(line.count("\t") + 1 in STREAM_FIELDS for line in lines) or not head.strip():
        return STREAM_LAYOUT  # that of an empty log is any
    if len(most) >= 2:  # a title line may contain one by chance
        names = [column_titled(title) for title in most]
        missing = _listed([name for name in REQUIRED if name not in names])
        raise LayoutError(f"expected the columns {missing} in the header too, got: {', '.join(most)}")
    raise LayoutError(_without_header(head, len(lines)))


def header(line: str) -> Layout | None:
    """The layout that a line of a log announces for those that follow, if it is a header.

    Raises:
        LayoutError: Two of its columns are equally good for one role.
    """
    if len(line) <= MOST_HEADER_CHARACTERS:
        for delimiter in DELIMITERS:
            titles = _fields(line, delimiter)
            if _has_required(titles):
                return _with_header(titles, delimiter, 0)
    return None


def _has_required(titles: list[str]) -> bool:
    return {column_titled(title) for title in titles}.issuperset(REQUIRED)


def _with_header(titles: list[str], delimiter: str, preamble: int) -> Layout:
    columns: list[str | None] = [None] * len(titles)
    for name in {column_titled(title) for title in titles} - {None}:
        fields = [index for index, title in enumerate(titles) if column_titled(title) == name]
        best = [index for index in fields if is_canonical(titles[index])] or fields
        if len(best) > 1:
            two = ", ".join(repr(titles[index]) for index in best)
            raise LayoutError(f"expected one column of the role {_listed([str(name)])}, got {len(best)}: {two}")
        columns[best[0]] = name
    ignored = tuple(title for title, name in zip(titles, columns, strict=True) if name is None)
    return Layout(delimiter, tuple(columns), ignored, preamble)


def _without_header(head: bytes, lines: int) -> str:
    start = head.lstrip()[:16].lower()
    for mark, kind in _OTHER_CONTENT.items():
        if start.startswith(mark):
            return f"expected a session log, got {kind}"
    return (
        f"expected a header line with {_listed(REQUIRED)}, got none in the first {lines:,} lines; "
        "titles are known in English: export the report in English"
    )


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter not in line or "\r" in line:
        return []
    return [field.strip() for fields in csv.reader([line], delimiter=delimiter) for field in fields]


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(repr(column.title) for column in COLUMNS if column.name in names)
