"""Pages: the columns of a segment as bytes, each value in as few bits as it needs.

A page is an Arrow IPC stream of one record batch: it carries its own column names and types, so an old page can always
be opened. Text becomes a code into a sorted dictionary; times, durations and integers become multiples of a unit above
a base, in the narrowest unsigned type that holds them. zstd does the rest. `docs/FORMAT.md` defines the bytes.

>>> table = pa.table({"at": pa.array([1_000, 61_000, None]), "who": ["b", "a", "b"]})
>>> packed = pack(table)
>>> packed.schema.types
[DataType(uint8), DictionaryType(dictionary<values=string, indices=uint8, ordered=0>)]
>>> unpack(packed).equals(table)
True
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from privacyplease.proxy.records import arrow_stream
from privacyplease.proxy.records.columns import ColumnType

Int64Array = npt.NDArray[np.int64]

# Level 1: on 65,536 real sessions level 3 saves 3 % (`core`) and takes twice as long.
COMPRESSION_LEVEL = 1

# No page is larger: a segment holds at most 256 MiB of text (`compaction/rewriting.py`), and has at most four times
# 65,536 records (`compaction/cut.py`), whose numbers and times take less than that.
MOST_PAGE_BYTES = 512 * 1024 * 1024
MOST_PAGE_ROWS = 1_048_576

BASE, UNIT, STORED = b"base", b"unit", b"stored"

# The type of text as codes, in memory.
CODED = pa.dictionary(pa.int32(), pa.string())

_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
_STORED = {str(kind.stored): kind.stored for kind in ColumnType}


class Scale(NamedTuple):
    """How integers are encoded: as n, for base + unit · n."""

    base: int
    unit: int


def compressed(batch: pa.RecordBatch) -> bytes:
    """A batch as a zstd frame of an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(sink.getvalue())


def decompressed(frame: bytes) -> pa.RecordBatch:
    """The batch that `compressed` was given.

    Raises:
        ValueError: It would be larger than any page; no memory was taken for it.
        zstandard.ZstdError, pa.ArrowException, StopIteration: It is no page.
    """
    size = zstandard.frame_content_size(frame)
    if not 0 <= size <= MOST_PAGE_BYTES:
        raise ValueError(f"expected a frame of at most {MOST_PAGE_BYTES:,} bytes, got {size:,}")
    stream = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    arrow_stream.check(stream, MOST_PAGE_ROWS)
    with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
        return reader.read_next_batch()


def pack(table: pa.Table) -> pa.RecordBatch:
    """A table in stored types as the batch that a page holds; text may be coded into any dictionary."""
    packed = [_packed(name, table[name].combine_chunks()) for name in table.column_names]
    arrays, fields = [array for array, _ in packed], [field for _, field in packed]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def unpack(batch: pa.RecordBatch, *, coded: bool = False) -> pa.Table:
    """The table that `pack` was given; if `coded`, text stays as codes, all of one type."""
    columns = [_unpacked(batch.column(number), field, coded=coded) for number, field in enumerate(batch.schema)]
    return pa.table(columns, names=batch.schema.names)


def dictionary(values: pa.Array) -> pa.DictionaryArray:
    """The values as codes into their sorted dictionary, in the narrowest type that holds the codes.

    Values that are coded already may have a dictionary in any order, with entries that no value uses.
    """
    encoded = values.dictionary_encode()
    order = pc.array_sort_indices(encoded.dictionary)
    if pa.types.is_dictionary(values.type):
        used = np.zeros(len(order), bool)
        used[encoded.indices.drop_null().to_numpy()] = True
        order = order.filter(pa.array(used).take(order))
    rank = np.zeros(len(encoded.dictionary), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    codes = pa.array(rank).take(encoded.indices).cast(_narrowest(len(order)))
    return pa.DictionaryArray.from_arrays(codes, encoded.dictionary.take(order))


def narrowed(values: Int64Array, scale: Scale) -> pa.Array:
    """Integers (int64[n]) as multiples of the scale's unit above its base, in the narrowest type."""
    multiples = values - scale.base
    if scale.unit != 1:
        multiples //= scale.unit
    return pa.array(multiples).cast(_narrowest(int(multiples.max(initial=0)) + 1))


def unit_of(*differences: Int64Array) -> int:
    """The greatest unit, at least 1, of which all the numbers are multiples."""
    return int(np.gcd.reduce([np.gcd.reduce(values, initial=0) for values in differences])) or 1


def _packed(name: str, values: pa.Array) -> tuple[pa.Array, pa.Field]:
    coded = pa.types.is_dictionary(values.type)
    stored = {STORED: str(values.type.value_type if coded else values.type).encode()}
    if values.null_count == len(values):
        return pa.nulls(len(values)), pa.field(name, pa.null(), metadata=stored)
    if coded or pa.types.is_string(values.type):
        codes = dictionary(values)
        return codes, pa.field(name, codes.type)
    if pa.types.is_boolean(values.type) or pa.types.is_floating(values.type):
        return values, pa.field(name, values.type)
    numbers = values.cast(pa.int64())
    known = numbers.drop_null().to_numpy()
    if not _fits(known):
        return values, pa.field(name, values.type)
    base = int(known.min())
    scale = Scale(base, unit_of(known - base))
    spread = narrowed(numbers.fill_null(base).to_numpy(), scale)
    array = pc.if_else(numbers.is_valid(), spread, pa.scalar(None, spread.type)) if numbers.null_count else spread
    about = stored | {BASE: str(scale.base).encode(), UNIT: str(scale.unit).encode()}
    return array, pa.field(name, array.type, metadata=about)


def _unpacked(values: pa.Array, field: pa.Field, *, coded: bool) -> pa.Array:
    about = field.metadata or {}
    if pa.types.is_dictionary(field.type):
        return values.cast(CODED) if coded else values.dictionary.take(values.indices)
    if pa.types.is_null(field.type):
        stored = _STORED[about[STORED].decode()]
        return pa.nulls(len(values), CODED if coded and pa.types.is_string(stored) else stored)
    if BASE not in about:
        return values
    numbers = pc.add(pc.multiply(values.cast(pa.int64()), int(about[UNIT])), int(about[BASE]))
    return numbers.cast(_STORED[about[STORED].decode()])


def _fits(known: Int64Array) -> bool:
    """Whether the difference of any two fits into a signed 64-bit integer."""
    return int(known.max()) - int(known.min()) < 1 << 63


def _narrowest(count: int) -> pa.DataType:
    """The narrowest unsigned type with that many values."""
    return next(kind for kind in _UNSIGNED if count <= 1 << kind.bit_width)
