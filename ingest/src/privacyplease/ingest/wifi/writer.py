"""Writes sessions as a log that the reader can read: Cisco Prime's "Client Sessions" CSV, in UTC and whole seconds."""

from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from privacyplease.ingest.wifi.columns import COLUMNS

__all__ = ["write"]

_WRITTEN = tuple(column for column in COLUMNS if column.name != "record_id")  # that belongs to the stream format
_ROWS = 1 << 19  # keeps the text far below the 2 GiB that an Arrow string array can hold

# Always English, whatever the process's locale.
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write(tables: Iterable[pa.Table], stream: BinaryIO) -> int:
    """Writes a header and the sessions of some tables of the schema `SCHEMA`.

    Returns:
        How many sessions were written.
    """
    stream.write(",".join(column.title for column in _WRITTEN).encode() + b"\n")
    count = 0
    for table in tables:
        for start in range(0, table.num_rows, _ROWS):
            stream.write(_text(table.slice(start, _ROWS)))
        count += table.num_rows
    return count


def _text(table: pa.Table) -> bytes:
    fields = [_field(column.name, table[column.name].combine_chunks()) for column in _WRITTEN]
    joined = pc.binary_join_element_wise(*fields, pa.scalar(","))
    lines = pc.binary_join_element_wise(joined, pa.scalar(""), pa.scalar("\n"))
    # The values of a string array are contiguous, so they are the text already.
    return bytes(lines.buffers()[2][: pc.sum(pc.binary_length(lines)).as_py()])


def _field(name: str, values: pa.Array) -> pa.Array:
    if name == "association_time":
        return _times(values)
    return _durations(values) if name == "session_duration" else _quoted(values)


def _quoted(values: pa.StringArray) -> pa.Array:
    doubled = pc.replace_substring(values, '"', '""')
    quoted = pc.binary_join_element_wise(pa.scalar('"'), doubled, pa.scalar('"'), pa.scalar(""))
    return pc.fill_null(pc.if_else(pc.match_substring_regex(values, '[",]'), quoted, values), "")


def _times(values: pa.Array) -> pa.Array:
    day, second = np.divmod(np.asarray(values.cast(pa.int64())) // 1_000, 86_400)
    days, day = np.unique(day, return_inverse=True)
    seconds, second = np.unique(second, return_inverse=True)
    dates = days.astype("M8[D]").tolist()
    before = pa.array([f"{_WEEKDAYS[date.weekday()]} {_MONTHS[date.month - 1]} {date.day:02}" for date in dates])
    clock = pa.array([f"{each // 3_600:02}:{each // 60 % 60:02}:{each % 60:02}" for each in seconds.tolist()])
    after = pa.array([f"UTC {date.year}" for date in dates])
    return pc.binary_join_element_wise(before.take(day), clock.take(second), after.take(day), pa.scalar(" "))


def _durations(values: pa.Array) -> pa.Array:
    seconds, index = np.unique(np.asarray(values.cast(pa.int64())) // 1_000, return_inverse=True)
    return pa.array([_duration_text(each) for each in seconds.tolist()]).take(index)


def _duration_text(seconds: int) -> str:
    """A duration as Cisco writes it: `1 hrs 0 min 5 sec`, starting with the first unit that is not zero."""
    counts = (seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60, seconds % 60)
    first = next((index for index, count in enumerate(counts) if count), len(counts) - 1)
    units = ("days", "hrs", "min", "sec")
    return " ".join(f"{count} {unit}" for count, unit in list(zip(counts, units, strict=True))[first:])
