"""JSON lines, one record each.

Arrow reads a whole batch at once, and refuses all of it for one bad line. In that case each line is read on its own, so
that only the bad ones are rejected.
"""

from __future__ import annotations

import io
import json
import re
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import pyarrow as pa
import pyarrow.json

from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.records.dataset import MOST_NAME_CHARACTERS, Dataset
from privacyplease.proxy.records.tables import Rejection

NO_OBJECT = "expected one JSON object per line"
TWICE = "expected each column once"
UNKNOWN = "expected a column of the data set"

_FIRST_OBJECT = re.compile(rb"[ \t\r\n]*\{")
_LINE = re.compile(rb"[^\r\n]+")
_ARROW = {
    ColumnType.DURATION: pa.float64(),
    ColumnType.INT: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.BOOL: pa.bool_(),
}
_NUMBERS = {ColumnType.DURATION: (int, float), ColumnType.INT: (int,), ColumnType.FLOAT: (int, float)}


class ParsedLines(NamedTuple):
    """The records of a batch of lines.

    Attributes:
        records: One record for each line that is not blank; all nulls where the line could not be read.
        unread: Why a line could not be read, by row.
    """

    records: pa.Table
    unread: dict[int, Rejection]


def read(data: bytes, dataset: Dataset, most: int) -> ParsedLines:
    """Reads lines. If there are more than `most`, the result has more than `most` records too."""
    if not data.strip():
        return ParsedLines(dataset.schema.empty_table(), {})
    # Arrow 26.0.1 crashes if null is in the place of the first object. And it makes room for every column of every
    # object before they can be counted.
    if _FIRST_OBJECT.match(data) and data.count(b"{") <= most:
        with suppress(pa.ArrowException):
            return ParsedLines(_read_at_once(data, dataset), {})
    return _read_each(data, dataset, most)


def _read_at_once(data: bytes, dataset: Dataset) -> pa.Table:
    # Columns of other names are never built: with each line another one, they would be as many as lines, squared.
    schema = pa.schema([(name, _ARROW.get(kind, pa.string())) for name, kind in dataset.columns.items()])
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    # One block, because an object that spans two is refused.
    whole = pyarrow.json.ReadOptions(block_size=len(data) + 1, use_threads=False)
    return pyarrow.json.read_json(io.BytesIO(data), read_options=whole, parse_options=options)


def _read_each(data: bytes, dataset: Dataset, most: int) -> ParsedLines:
    lines = islice(filter(bytes.strip, map(re.Match.group, _LINE.finditer(data))), most + 1)
    results = [_read_line(row, line, dataset) for row, line in enumerate(lines)]
    schema = pa.schema([(name, pa.string()) for name in dataset.columns])
    records = [{} if isinstance(result, Rejection) else result for result in results]
    return ParsedLines(
        pa.Table.from_pylist(records, schema=schema),
        {result.row: result for result in results if isinstance(result, Rejection)},
    )


class _Object(list[tuple[str, object]]):
    """The names and values of a JSON object, repeated names included."""


def _read_line(row: int, line: bytes, dataset: Dataset) -> dict[str, str | None] | Rejection:
    """The record, with every value as text, or why it cannot be read."""
    try:
        pairs = json.loads(line, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        pairs = None
    if not isinstance(pairs, _Object):
        return Rejection(row, "json_lines", NO_OBJECT)
    record: dict[str, str | None] = {}
    for name, value in pairs:
        if name not in dataset.columns:
            return Rejection(row, name.encode(errors="replace").decode()[:MOST_NAME_CHARACTERS], UNKNOWN)
        if name in record:
            return Rejection(row, name, TWICE)
        if not _fits(value, dataset.columns[name]):
            return Rejection(row, name, dataset.columns[name].expected)
        record[name] = value if value is None or isinstance(value, str) else json.dumps(value)
    return record


def _fits(value: object, kind: ColumnType) -> bool:
    """Whether a value is null, of the column's JSON type, or text (which `check` reads as the column's type)."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)  # lone surrogates are not text
    if isinstance(value, bool):
        return kind is ColumnType.BOOL
    return value is None or isinstance(value, _NUMBERS.get(kind, ()))
