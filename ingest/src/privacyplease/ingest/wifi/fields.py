"""Splits a block of lines into fields: a table of text, and the lines that could not be split."""

from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from privacyplease.ingest.parsing import RejectedLine
from privacyplease.ingest.wifi import line_scan, loose_quotes
from privacyplease.ingest.wifi.layout import Layout
from privacyplease.ingest.wifi.lines import LogLines

__all__ = ["Fields", "split"]


class Fields(NamedTuple):
    """Lines split into fields.

    Attributes:
        table: string[n] for every column that the layout names, as in the log; null where a line lacks the last field.
        lines: The n lines that the rows come from.
        rejects: The lines that could not be split.
    """

    table: pa.Table
    lines: LogLines
    rejects: list[RejectedLine]


def split(lines: LogLines, layout: Layout) -> Fields:
    """Splits the lines of a whole block; blank lines are skipped."""
    sound = lines.starts < lines.ends
    rejects = list[RejectedLine]()
    for bad, reason in (
        (line_scan.undecodable(lines), "expected text in UTF-8"),
        (line_scan.count(lines, "\0") > 0, "expected text without NUL bytes"),
        (line_scan.count(lines, "\r") > 0, "expected no carriage return within a line"),
    ):
        rejects += _rejects(lines, bad & sound, reason)
        sound &= ~bad
    # Where the last field is optional, some lines lack it.
    loose = line_scan.loosely_quoted(lines, layout.delimiter)
    full = (
        line_scan.count(lines, layout.delimiter) + 1 == len(layout.columns) if layout.optional else np.ones_like(loose)
    )
    parts = [
        *(_parse(lines.only(sound & ~loose & (full == is_full)), layout, full=is_full) for is_full in (True, False)),
        _split_loosely(lines.only(sound & loose), layout),
    ]
    rejects += [reject for part in parts for reject in part.rejects]
    return _merged(lines, [part for part in parts if len(part.lines)] or parts[:1], rejects)


def _parse(lines: LogLines, layout: Layout, *, full: bool) -> Fields:
    columns = layout.columns if full else layout.columns[: len(layout.columns) - layout.optional]
    names = [name or f"field {index}" for index, name in enumerate(columns)]
    wanted = [name for name in columns if name]
    if not len(lines):
        return Fields(pa.table({name: pa.array([], pa.string()) for name in wanted}), lines, [])
    text, invalid = lines.pack(), list[csv.InvalidRow]()
    if text.startswith(BOM_UTF8):  # pyarrow would skip it, but here it belongs to the first value
        text = BOM_UTF8 + text
    table = csv.read_csv(
        pa.BufferReader(text),
        # A single thread: only then does pyarrow number the invalid rows.
        read_options=csv.ReadOptions(use_threads=False, block_size=len(text), column_names=names),
        parse_options=csv.ParseOptions(
            delimiter=layout.delimiter,
            invalid_row_handler=_collect(invalid),
        ),
        convert_options=csv.ConvertOptions(
            include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), check_utf8=False
        ),
    )
    return _without_invalid(table.combine_chunks(), lines, invalid, layout.field_counts)


def _split_loosely(lines: LogLines, layout: Layout) -> Fields:
    columns, rejects, good = layout.columns, list[RejectedLine](), np.ones(len(lines), np.bool_)
    rows = list[Sequence[str | None]]()
    for index in range(len(lines)):
        line = lines.line(index)
        fields = loose_quotes.split(line, layout.delimiter)
        if fields is not None and 0 <= len(columns) - len(fields) <= layout.optional:
            rows.append([*fields, *[None] * (len(columns) - len(fields))])
            continue
        good[index] = False
        reason = loose_quotes.UNPAIRED if fields is None else _wrong_count(layout.field_counts, len(fields))
        rejects.append(RejectedLine(int(lines.numbers[index]), "record", reason, line))
    values = {name: pa.array([row[index] for row in rows], pa.string()) for index, name in enumerate(columns) if name}
    return Fields(pa.table(values), lines.only(good), rejects)


def _wrong_count(expected: str, got: int | None) -> str:
    return f"expected {expected} fields, got {got}"


def _collect(invalid: list[csv.InvalidRow]) -> Callable[[csv.InvalidRow], Literal["skip"]]:
    def collect(row: csv.InvalidRow) -> Literal["skip"]:
        invalid.append(row)
        return "skip"

    return collect


def _without_invalid(table: pa.Table, lines: LogLines, invalid: list[csv.InvalidRow], expected: str) -> Fields:
    rejects = []
    valid = np.ones(len(lines), np.bool_)
    for row in invalid:
        index = (row.number or 0) - 1
        valid[index] = False
        reason = _wrong_count(expected, row.actual_columns)
        rejects.append(RejectedLine(int(lines.numbers[index]), "record", reason, lines.line(index)))
    return Fields(table, lines.only(valid), rejects)


def _merged(block: LogLines, parts: list[Fields], rejects: list[RejectedLine]) -> Fields:
    if len(parts) == 1:
        return Fields(parts[0].table, parts[0].lines, rejects)
    numbers = np.concatenate([part.lines.numbers for part in parts])
    table = pa.concat_tables([part.table for part in parts], promote_options="default").take(np.argsort(numbers))
    return Fields(table, block.only(np.isin(block.numbers, numbers)), rejects)


def _rejects(lines: LogLines, bad: npt.NDArray[np.bool_], reason: str) -> list[RejectedLine]:
    return [RejectedLine(int(lines.numbers[i]), "record", reason, lines.line(i)) for i in np.flatnonzero(bad).tolist()]
