"""Splits lines into fields: from a block of lines to a table of text, and the lines that have no such form."""

from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from privacyplease.ingest.rejects import Reject
from privacyplease.ingest.wifi import marks
from privacyplease.ingest.wifi.layout import Layout
from privacyplease.ingest.wifi.lines import Lines

__all__ = ["Fields", "split"]


class Fields(NamedTuple):
    """Lines split into fields.

    Attributes:
        table: string[n] for every column that the layout names, as in the log; null where a line lacks the last.
        lines: The n lines that the rows come from.
        rejects: The lines that could not be split.
    """

    table: pa.Table
    lines: Lines
    rejects: list[Reject]


def split(lines: Lines, layout: Layout) -> Fields:
    """Splits the lines of a whole block; blank lines are dropped without a word."""
    binary, broken = marks.undecodable(lines), marks.count(lines, "\r") > 0
    rejects = _rejects(lines, binary, "expected text in UTF-8")
    rejects += _rejects(lines, broken & ~binary, "expected no carriage return within a line")
    sound = ~binary & ~broken & (lines.starts < lines.ends)
    # What is loosely quoted has no quoting, only quotes in it. Where the last field is optional, some lines lack it.
    loose = marks.loosely_quoted(lines, layout.delimiter)
    full = marks.count(lines, layout.delimiter) + 1 == len(layout.columns) if layout.optional else np.ones_like(loose)
    parts = [
        _parse(lines.only(sound & (loose == is_loose) & (full == is_full)), layout, quoted=not is_loose, full=is_full)
        for is_loose, is_full in [(False, True), (False, False), (True, True), (True, False)]
    ]
    rejects += [reject for part in parts for reject in part.rejects]
    return _merged(lines, [part for part in parts if len(part.lines)] or parts[:1], rejects)


def _parse(lines: Lines, layout: Layout, *, quoted: bool, full: bool) -> Fields:
    columns = layout.columns if full else layout.columns[: len(layout.columns) - layout.optional]
    names = [name or f"field {index}" for index, name in enumerate(columns)]
    wanted = [name for name in columns if name]
    if not len(lines):
        return Fields(pa.table({name: pa.array([], pa.string()) for name in wanted}), lines, [])
    text, misfits = lines.pack(), list[csv.InvalidRow]()
    if text.startswith(BOM_UTF8):  # pyarrow skips one at the start; here it is the middle of the log
        text = BOM_UTF8 + text
    table = csv.read_csv(
        pa.BufferReader(text),
        # One thread: only then does pyarrow number the rows that do not fit.
        read_options=csv.ReadOptions(use_threads=False, block_size=len(text), column_names=names),
        parse_options=csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if quoted else False,
            invalid_row_handler=_keeping(misfits),
        ),
        convert_options=csv.ConvertOptions(
            include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), check_utf8=False
        ),
    )
    return _fitted(table.combine_chunks(), lines, misfits, layout.sizes)


def _keeping(misfits: list[csv.InvalidRow]) -> Callable[[csv.InvalidRow], Literal["skip"]]:
    def keep(row: csv.InvalidRow) -> Literal["skip"]:
        misfits.append(row)
        return "skip"

    return keep


def _fitted(table: pa.Table, lines: Lines, misfits: list[csv.InvalidRow], expected: str) -> Fields:
    rejects = []
    fits = np.ones(len(lines), np.bool_)
    for row in misfits:
        index = (row.number or 0) - 1
        fits[index] = False
        reason = f"expected {expected} fields, got {row.actual_columns}"
        rejects.append(Reject(int(lines.numbers[index]), "record", reason, lines.line(index)))
    return Fields(table, lines.only(fits), rejects)


def _merged(block: Lines, parts: list[Fields], rejects: list[Reject]) -> Fields:
    if len(parts) == 1:
        return Fields(parts[0].table, parts[0].lines, rejects)
    numbers = np.concatenate([part.lines.numbers for part in parts])
    table = pa.concat_tables([part.table for part in parts], promote_options="default").take(np.argsort(numbers))
    return Fields(table, block.only(np.isin(block.numbers, numbers)), rejects)


def _rejects(lines: Lines, bad: npt.NDArray[np.bool_], reason: str) -> list[Reject]:
    return [Reject(int(lines.numbers[i]), "record", reason, lines.line(i)) for i in np.flatnonzero(bad).tolist()]
