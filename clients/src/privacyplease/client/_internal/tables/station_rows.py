"""States of stations as an Arrow table, and its rows as Python values."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa

from privacyplease.client._internal.contract import reads_answers
from privacyplease.client._internal.tables.record_stream import RecordStream, complete
from privacyplease.client._internal.times import from_unix_ms

_INSTANT = pa.timestamp("ms", tz="UTC")
_DURATION = pa.duration("ms")

_SCHEMA = pa.schema(
    {
        "station": pa.string(),
        "contract": pa.string(),
        "state_from": _INSTANT,
        "observed_for": _DURATION,
        "contract_name": pa.string(),
        "number": pa.string(),
        "name": pa.string(),
        "address": pa.string(),
        "latitude": pa.float64(),
        "longitude": pa.float64(),
        "banking": pa.bool_(),
        "bonus": pa.bool_(),
        "status": pa.string(),
        "bike_stands": pa.int64(),
        "available_bikes": pa.int64(),
        "available_bike_stands": pa.int64(),
        "last_update": _INSTANT,
        "source": pa.string(),
        "polled_at": _INSTANT,
    }
)

_FROM_MS: dict[pa.DataType, Callable[[int], Any]] = {
    _INSTANT: from_unix_ms,
    _DURATION: lambda ms: timedelta(milliseconds=ms),
}


def joined(pages: Sequence[bytes]) -> pa.Table:
    """Joins the pages of an answer, each an Arrow IPC stream, into one table; without pages it has no rows.

    Raises:
        FaultError: A page cannot be read.
    """
    with complete():
        tables = [RecordStream(io.BytesIO(page)).read_all() for page in pages]
        return pa.concat_tables(tables) if tables else _SCHEMA.empty_table()


def rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The fields of `StationState`, row by row. A column that the data set lacks is None throughout."""
    for batch in table.to_batches():
        yield from zip(*(_values(batch, field) for field in _SCHEMA), strict=True)


@reads_answers
def _values(batch: pa.RecordBatch, field: pa.Field) -> list[Any]:
    if field.name not in batch.schema.names:
        return [None] * batch.num_rows
    column = batch.column(field.name).cast(field.type)
    if field.type not in _FROM_MS:
        values: list[Any] = column.to_pylist()
        return values
    convert = _FROM_MS[field.type]
    return [None if ms is None else convert(ms) for ms in column.cast(pa.int64()).to_pylist()]
