"""Arrow IPC streams of a few kilobytes that make a careless reader allocate gigabytes."""

from __future__ import annotations

import struct

import pyarrow as pa

from privacyplease.transport.flat_table import FlatTable

ROWS = 65_536
# Those that take memory only where values are written out. A page's are not.
WRITTEN_OUT = (
    "one value for all",
    "one large value for all",
    "one number of a mebibyte for all",
    "views of one value",
)

# Long enough to be noticed, and quick to make.
LONG = "0" * (64 << 20)
LESS = "0" * (1 << 20)


def bombs() -> dict[str, bytes]:
    """The streams by what is wrong with them."""
    one = pa.array([0] * ROWS, pa.int32())
    return {
        "zstd": stream({"who": [LONG]}, compression="zstd"),
        "lz4": stream({"who": [LONG]}, compression="lz4"),
        "zstd in a dictionary": stream({"who": pa.array([LONG]).dictionary_encode()}, compression="zstd"),
        "one value for all": stream({"who": pa.DictionaryArray.from_arrays(one, pa.array([LESS]))}),
        "one large value for all": stream(
            {"who": pa.DictionaryArray.from_arrays(one, pa.array([LESS], pa.large_string()))}
        ),
        "one number of a mebibyte for all": stream(
            {"who": pa.DictionaryArray.from_arrays(one, pa.array([LESS.encode()], pa.binary(len(LESS))))}
        ),
        "views of one value": stream({"who": _views()}),
        "growing dictionary": _growing(),
        "a dictionary for every batch": _read_often(),
        "lists": stream({"who": [[[[1]]]]}),
        "structs": stream({"who": [{"a": {"b": 1}}]}),
        "runs": stream({"who": pa.RunEndEncodedArray.from_arrays([ROWS], [LESS])}),
        "too many records": stream({"who": _many_nulls()}),
        "too many values in a dictionary": stream(
            {"who": pa.DictionaryArray.from_arrays(pa.array([0]), _many_nulls())}
        ),
        "too many columns": stream({f"c{number}": pa.nulls(1) for number in range(1_000)}),
        "too many empty batches": _empty_batches(),
        "too much metadata": stream({"who": ["a"]}, metadata={"pandas": LESS}),
        "overlapping buffers": _overlapping(),
        "shared metadata": _shared(),
    }


def stream(
    columns: dict[str, object], *, compression: str | None = None, metadata: dict[str, str] | None = None
) -> bytes:
    """A stream of one batch."""
    batch = pa.record_batch(columns).replace_schema_metadata(metadata)
    return _written(batch.schema, [batch], pa.ipc.IpcWriteOptions(compression=compression))


def _written(schema: pa.Schema, batches: list[pa.RecordBatch], options: pa.ipc.IpcWriteOptions | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _views() -> pa.Array:
    view = struct.pack("<i4sii", len(LESS), b"0000", 0, 0)
    return pa.Array.from_buffers(pa.string_view(), ROWS, [None, pa.py_buffer(view * ROWS), pa.py_buffer(LESS.encode())])


def _many_nulls() -> pa.Array:
    """Nearly 2^31 nulls, which take no memory as long as nobody looks."""
    return pa.Array.from_buffers(pa.null(), (1 << 31) - 1, [None])


def _growing() -> bytes:
    """Each batch adds a value to a dictionary of a mebibyte."""
    values = [[LESS, *map(str, range(number))] for number in range(100)]
    batches = [
        pa.record_batch({"who": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(each))})
        for each in values
    ]
    return _written(batches[0].schema, batches, pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True))


def _read_often() -> bytes:
    """A thousand batches of one record, with a dictionary of a hundred thousand values."""
    coded = pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([""] * 100_000))
    batch = pa.record_batch({"who": coded})
    return _written(batch.schema, [batch] * 1_000)


def _empty_batches() -> bytes:
    batch = pa.record_batch({f"c{number}": pa.nulls(0) for number in range(500)})
    return _written(batch.schema, [batch] * 1_000)


def _overlapping() -> bytes:
    """Two columns, of which the second has the bytes of both."""
    written = stream({"who": ["a" * 1_000], "where": ["b" * 1_000]})
    length = struct.pack("<q", 1_000)
    first, second = written.index(length), written.rindex(length)
    return written[: second - 8] + written[first - 8 : first] + struct.pack("<q", 2_000) + written[second + 8 :]


def _shared() -> bytes:
    """Two entries of metadata that are one."""
    written = stream({"who": ["a"]}, metadata={"a": "x" * 4_000, "b": "y"})
    header = FlatTable.root(written[8:]).table(2)
    assert header is not None
    vector = 8 + header.vector(2)[0]
    (offset,) = struct.unpack_from("<I", written, vector)
    return written[: vector + 4] + struct.pack("<I", offset - 4) + written[vector + 8 :]
