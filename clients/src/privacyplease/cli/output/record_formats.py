"""File formats for whole records. Each writes batch by batch, so memory is bounded."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import typer

from privacyplease.cli.output.formula_escaping import escaped_column
from privacyplease.cli.times import iso, seconds
from privacyplease.client import Records


@dataclass(frozen=True)
class RecordFormat:
    """A format: `write` returns the number of records written."""

    suffix: str
    write: Callable[[Records, BinaryIO], int]


def format_of(path: Path) -> RecordFormat:
    """The format of a file, by the suffix of its name.

    Raises:
        typer.BadParameter: No format has that suffix.
    """
    for record_format in (ARROW, CSV, JSON_LINES):
        if path.suffix == record_format.suffix:
            return record_format
    raise typer.BadParameter(
        f"expected a name that ends in .arrow, .csv or .jsonl, got {path.name!r}", param_hint="--output"
    )


def _write_arrow(records: Records, file: BinaryIO) -> int:
    with pa.ipc.new_file(file, records.schema()) as writer:
        return _write_batches(records, writer.write_batch)


def _write_csv(records: Records, file: BinaryIO) -> int:
    schema = pa.schema([(field.name, pa.string()) for field in records.schema()])
    with pyarrow.csv.CSVWriter(file, schema) as writer:
        return _write_batches(records, lambda batch: writer.write_batch(_as_text(batch, schema)))


def _write_json_lines(records: Records, file: BinaryIO) -> int:
    def write(batch: pa.RecordBatch) -> None:
        lines = (json.dumps(row, default=_as_json, ensure_ascii=False) + "\n" for row in batch.to_pylist())
        file.writelines(line.encode() for line in lines)

    return _write_batches(records, write)


def _write_batches(records: Records, write: Callable[[pa.RecordBatch], None]) -> int:
    rows = 0
    for batch in records:
        write(batch)
        rows += batch.num_rows
    return rows


def _as_text(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([_text(column) for column in batch.columns], schema=schema)


def _text(column: pa.Array) -> pa.Array:
    """Times in ISO 8601, durations in seconds, no text that is a formula, everything else as Arrow writes it."""
    if pa.types.is_timestamp(column.type):
        return pc.replace_substring(pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ"), ".000Z", "Z")
    if pa.types.is_duration(column.type):
        return pa.array([None if value is None else _as_json(value) for value in column.to_pylist()]).cast("string")
    text = column.cast(pa.string())
    return text if pa.types.is_primitive(column.type) else escaped_column(text)


def _as_json(value: Any) -> Any:  # noqa: ANN401 (any value that Arrow has and JSON lacks)
    if isinstance(value, datetime):
        return iso(value)
    return seconds(value) if isinstance(value, timedelta) else str(value)


ARROW = RecordFormat(".arrow", _write_arrow)
CSV = RecordFormat(".csv", _write_csv)
JSON_LINES = RecordFormat(".jsonl", _write_json_lines)
