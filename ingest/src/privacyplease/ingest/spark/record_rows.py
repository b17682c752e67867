"""Rows whose columns are those of the data set: what a job has read from Parquet or a table, or has computed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import tzinfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.client import Dataset
from privacyplease.ingest.kafka.consumer.parsers import MAX_MESSAGE_BYTES
from privacyplease.ingest.kafka.dead_letters import Origin, UnsealedLetter
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage
from privacyplease.ingest.spark.options import DurationUnit
from privacyplease.ingest.spark.parsed_batches import ParsedBatch
from privacyplease.ingest.wifi import utc_conversion
from privacyplease.ingest.wifi.times import LATEST

__all__ = ["RecordRows"]

_PER_MS = {
    DurationUnit.SECONDS: 0.001,
    DurationUnit.MILLISECONDS: 1.0,
    DurationUnit.MICROSECONDS: 1_000.0,
    DurationUnit.NANOSECONDS: 1_000_000.0,
}

_TOO_LARGE = f"expected a record of at most {MAX_MESSAGE_BYTES:,} bytes"
_NOT_UTF8 = "expected text in UTF-8"
_NO_DURATION = "expected a duration of 0 or more, and of less than 8,000 years"
_NO_TIME = "expected a time in the years 1970 to 9999"
_MAX_DURATION_MS = 8_000 * 365 * 86_400_000

# No topic has this name, so `dlq replay` sends no such row to one.
_ORIGIN = "spark/rows"

_Bad = dict[int, tuple[str, str]]


class RecordRows:
    """Reads rows as records, and rejects those that the proxy could not even receive.

    Args:
        dataset: The definition of the data set.
        unit: The unit of durations that are plain numbers.
        zone: The time zone of times without one.
    """

    def __init__(self, dataset: Dataset, unit: DurationUnit | None, zone: tzinfo | None) -> None:
        self._kinds = {column.name: column.type for column in dataset.columns}
        self._unit = unit
        self._zone = zone
        self._first = 0

    def __call__(self, batch: pa.RecordBatch) -> Iterator[ParsedBatch]:
        """Reads one record a row."""
        first, self._first = self._first, self._first + batch.num_rows
        bad: _Bad = {}
        columns = [self._column(name, batch.column(name), bad) for name in batch.schema.names]
        for row in np.flatnonzero(_sizes(batch) > MAX_MESSAGE_BYTES).tolist():
            bad.setdefault(row, ("record", _TOO_LARGE))
        rows = np.setdiff1d(np.arange(batch.num_rows), list(bad))
        table = pa.table(columns, names=batch.schema.names)
        rejects = [RejectedMessage(row, *cause) for row, cause in sorted(bad.items())]
        parsed = ParsedMessages(table.take(rows) if bad else table, rows, rejects)
        yield ParsedBatch(lambda reject: _letter(batch, first, reject), parsed)

    def _column(self, name: str, values: pa.Array, bad: _Bad) -> pa.Array:
        """A column as a type whose meaning is known; adds rows whose value has none."""
        kind, given = self._kinds[name], values.type
        if pa.types.is_string(given):
            return _text(name, values, bad)
        if kind == "duration" and not pa.types.is_duration(given):
            return self._durations(name, values, bad)
        if pa.types.is_timestamp(given) and given.tz is None:
            return self._local_times(name, values, bad)
        return values

    def _durations(self, name: str, values: pa.Array, bad: _Bad) -> pa.Array:
        if self._unit is None:
            raise TypeError("expected a unit: numbers as durations are refused without one")
        numbers = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        length = np.round(numbers / _PER_MS[self._unit])
        known = values.is_valid().to_numpy(zero_copy_only=False)
        good = known & (length >= 0) & (length <= _MAX_DURATION_MS)
        _add(bad, np.flatnonzero(known & ~good), name, _NO_DURATION)
        return pa.array(np.where(good, length, 0).astype(np.int64), mask=~known).cast(pa.duration("ms"))

    def _local_times(self, name: str, values: pa.Array, bad: _Bad) -> pa.Array:
        if self._zone is None:
            raise TypeError("expected a time zone: times without a zone are refused without one")
        known = values.is_valid().to_numpy(zero_copy_only=False)
        local = pc.floor_temporal(values, unit="millisecond").cast(pa.timestamp("ms")).cast(pa.int64()).fill_null(0)
        local = local.to_numpy(zero_copy_only=False)
        # A day less than the range of the calendar, so that no zone leads out of it.
        good = (local >= 0) & (local <= LATEST - 86_400_000)
        utc, unresolved = utc_conversion.to_utc(np.where(good, local, 0), self._zone, None)
        _add(bad, np.flatnonzero(known & ~good), name, _NO_TIME)
        for rows, reason in unresolved:
            _add(bad, rows[known[rows] & good[rows]], name, reason)
        return pa.array(utc, mask=~known).cast(pa.timestamp("ms", "UTC"))


def _text(name: str, values: pa.Array, bad: _Bad) -> pa.Array:
    """Text as it is, null where it is not UTF-8: Spark does not check what it casts from bytes."""
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raw = values.cast(pa.binary(), safe=False).to_pylist()
        rows = [row for row, value in enumerate(raw) if value is not None and not _is_utf8(value)]
        _add(bad, np.array(rows, np.int64), name, _NOT_UTF8)
        return pa.array([None if row in set(rows) else value for row, value in enumerate(raw)], pa.binary()).cast(
            pa.string()
        )
    return values


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _sizes(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """int64[n], the bytes of text in each row."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            sizes += pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return sizes


def _add(bad: _Bad, rows: npt.NDArray[np.int64], name: str, reason: str) -> None:
    for row in rows.tolist():
        bad.setdefault(row, (name, reason))


def _letter(batch: pa.RecordBatch, first: int, reject: RejectedMessage) -> UnsealedLetter:
    """The row as JSON; its origin is its number within its task."""
    row = batch.slice(reject.position, 1)
    values = {name: _shown(row.column(name)) for name in row.schema.names}
    message = json.dumps(values, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
    origin = Origin(_ORIGIN, 0, first + reject.position, -1)
    return UnsealedLetter(message, None, origin, reject.field, reject.reason)


def _shown(column: pa.Array) -> object:
    if pa.types.is_string(column.type):
        raw = column.cast(pa.binary(), safe=False)[0].as_py()
        return None if raw is None else raw.decode("utf-8", "surrogateescape")
    if pa.types.is_duration(column.type):
        return column.cast(pa.int64())[0].as_py()
    return column[0].as_py()
