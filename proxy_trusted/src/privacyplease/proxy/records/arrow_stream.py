"""Arrow IPC streams from elsewhere, checked before Arrow reads them: what they may make it allocate is bounded.

A few kilobytes can describe gigabytes: compressed buffers and their declared lengths, buffers and tables that are
shared, nested types, dictionaries that grow with each batch, long values that many records refer to. Arrow allocates
what a stream declares. So the envelopes of its messages (Arrow columnar format, "Encapsulated message format") are read
here first, and everything is refused that is not sized like plain columns.

>>> sink = pa.BufferOutputStream()
>>> with pa.ipc.new_stream(sink, pa.schema({"who": pa.string()})) as writer:
...     writer.write(pa.record_batch({"who": ["alice"]}))
>>> read(sink.getvalue().to_pybytes(), most_records=100)["who"].to_pylist()
['alice']
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.records.dataset import MOST_COLUMNS
from privacyplease.proxy.records.flat_table import FlatTable

# The schema, or the lengths of a batch's buffers, of MOST_COLUMNS columns; pandas adds 200 bytes of metadata for each.
MOST_METADATA_BYTES = 256 * 1024
# Values in a dictionary: a column of categories brings all of them with every batch, used or not.
MOST_DICTIONARY_VALUES = 1_048_576
# Batches times columns. Each is an object of about 300 bytes, even if it has no values.
MOST_ARRAYS = 262_144
# Values of the dictionaries in force, summed over all batches: Arrow validates them again with each.
MOST_LOOKUPS = 64 * MOST_DICTIONARY_VALUES
# Text of all records, each value counted as often as it occurs: four times what fits into a batch as plain text.
MOST_TEXT_BYTES = 64 * 1024 * 1024

_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3  # Message.fbs: MessageHeader
_TIMESTAMP = 10  # Schema.fbs: Type


class UnboundedStreamError(ValueError):
    """A stream exceeds a limit, or has parts whose size nothing limits; the message says what is expected."""


def read(stream: bytes, most_records: int) -> pa.Table:
    """The table that a stream holds, fully validated.

    Raises:
        UnboundedStreamError: Reading it could take much more memory than it has bytes.
        pa.ArrowException, OSError: It is no Arrow IPC stream.
    """
    check(stream, most_records)
    with pa.ipc.open_stream(stream) as reader:
        table = reader.read_all()
    table.validate(full=True)  # forged offsets would make Arrow read beyond its buffers
    _require(sum(map(_text_bytes, table.columns)), MOST_TEXT_BYTES, "bytes of text, written out")
    return table


def check(stream: bytes, most_records: int) -> None:
    """Checks that Arrow can read a stream, and decode its columns, without allocating much more than its length.

    Values of dictionaries are not written out then.

    Raises:
        UnboundedStreamError: As `read`.
        pa.ArrowInvalid: It is no Arrow IPC stream.
    """
    try:
        _check(stream, most_records)
    except struct.error as error:
        raise pa.ArrowInvalid("expected an Arrow IPC stream") from error


def _check(stream: bytes, most_records: int) -> None:
    columns = records = arrays = lookups = position = 0
    dictionaries: dict[int, int] = {}  # the number of values of each
    while position < len(stream):
        marker, length = struct.unpack_from("<Ii", stream, position)
        if marker != _CONTINUATION or length < 0:
            raise pa.ArrowInvalid("expected an Arrow IPC message of format version 5")
        if not length:
            return
        _require(length, MOST_METADATA_BYTES, "bytes of metadata in a message")
        metadata = stream[position + 8 : position + 8 + length]
        message = FlatTable.root(metadata)
        header, body = message.table(2), message.number(3, "<q")
        position += 8 + length + body
        if header is None or not 0 <= body <= len(stream) or position > len(stream):
            raise pa.ArrowInvalid("expected a whole Arrow IPC message")
        kind = message.number(1, "<B")
        texts = _entries_bytes(message.tables(4))
        if kind == _SCHEMA:
            fields = header.tables(1)
            columns = len(fields)
            texts += _entries_bytes(header.tables(2)) + _check_fields(fields)
        elif kind == _RECORDS:
            records += _check_batch(header, body)
            arrays += columns
            lookups += sum(dictionaries.values())
            _require(records, most_records, "records")
            _require(arrays, MOST_ARRAYS, "columns in all batches together")
            _require(lookups, MOST_LOOKUPS, "values of dictionaries in all batches together")
        elif kind == _DICTIONARY:
            dictionaries[header.number(0, "<q")] = _check_dictionary(header, body)
        else:
            raise UnboundedStreamError("expected a schema, dictionaries and record batches")
        _require(texts, length, "bytes of names and metadata")  # more only if they are shared


def _check_fields(fields: list[FlatTable]) -> int:
    """Checks a schema's fields; returns the length of their texts."""
    _require(len(fields), MOST_COLUMNS, "columns")
    texts = 0
    for field in fields:
        if field.length(5):
            raise UnboundedStreamError("expected columns without nested values")
        zone = field.table(3) if field.number(2, "<B") == _TIMESTAMP else None
        texts += field.length(0) + _entries_bytes(field.tables(6)) + (zone.length(1) if zone else 0)
    return texts


def _check_dictionary(dictionary: FlatTable, body: int) -> int:
    """Checks a dictionary; returns its number of values."""
    if dictionary.number(2, "<B"):  # after each, Arrow makes another copy of the whole dictionary
        raise UnboundedStreamError("expected whole dictionaries, got additions to one")
    values = dictionary.table(1)
    if values is None:
        raise pa.ArrowInvalid("expected a dictionary with values")
    count = _check_batch(values, body)
    _require(count, MOST_DICTIONARY_VALUES, "values in a dictionary")
    return count


def _check_batch(batch: FlatTable, body: int) -> int:
    """Checks a batch's buffers; returns its number of records."""
    if batch.table(3) is not None:  # the compressed lengths say nothing about what they become
        raise UnboundedStreamError("expected buffers without compression")
    records = batch.number(0, "<q")
    lengths = [length for _, length in batch.structs(2, "<qq")]
    if records < 0 or min(lengths, default=0) < 0:
        raise pa.ArrowInvalid("expected lengths of at least 0")
    _require(sum(lengths), body, "bytes in the buffers of a batch")  # more only if they overlap
    return records


def _entries_bytes(entries: list[FlatTable]) -> int:
    """The length of keys and values."""
    return sum(entry.length(0) + entry.length(1) for entry in entries)


def _text_bytes(column: pa.ChunkedArray) -> int:
    """How long a column's values become that occur more often than they are stored, in bytes; 0 for all others."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return sum(_used(_lengths(chunk.dictionary), chunk.indices) for chunk in column.chunks)
    if _is_view(kind):
        return sum(int(_lengths(chunk).sum()) for chunk in column.chunks)
    return 0


def _used(lengths: npt.NDArray[np.int64], indices: pa.Array) -> int:
    return int(lengths[indices.drop_null().to_numpy()].sum())


def _lengths(values: pa.Array) -> npt.NDArray[np.int64]:
    """The length of each value in bytes: int64[n]."""
    kind = values.type
    if _is_view(kind):  # 16 bytes each, of which the first four are the length
        views = np.frombuffer(values.buffers()[1] or b"", np.int32)[::4]
        return views[values.offset : values.offset + len(values)].astype(np.int64)
    if pa.types.is_null(kind):
        return np.zeros(len(values), np.int64)
    if pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        return np.full(len(values), kind.bit_width // 8, np.int64)
    return np.asarray(pc.binary_length(values).fill_null(0), np.int64)


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _require(count: int, most: int, what: str) -> None:
    if count > most:
        raise UnboundedStreamError(f"expected at most {most:,} {what}, got {count:,}")
