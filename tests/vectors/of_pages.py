"""Known answers about pages: which columns of a segment they have, and as which Arrow types.

Different versions of Arrow and zstd may encode the same batch differently. So the frames are examples that every reader
must open; a writer must reproduce the batch in them.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import zstandard

from tests.vectors.primitives import Vectors, named
from tests.vectors.sketches import sketch

BASE = 1_727_769_600_000
MOST = 2**63 - 1


def pages() -> Vectors:
    return [*cores(), *rests(), rollup()]


def cores() -> Vectors:
    """Cores: of addresses in multiples of 15 seconds, of names in milliseconds, and without records."""
    addresses = [
        [0x000000000001, "Café", BASE + 60_000, 60_000],
        [0xAABBCCDDEEFF, "ap-35", BASE, 45_000],
        [0xAABBCCDDEEFF, "北陸", BASE + 3_600_000, 3_600_000],
        [0xFFFFFFFFFFFF, "Café", BASE + 900_000, 0],
    ]
    columns = [
        _coded([0, 1, 1, 2], pa.array([0x000000000001, 0xAABBCCDDEEFF, 0xFFFFFFFFFFFF], pa.int64())),
        _coded([0, 1, 2, 0], pa.array(["Café", "ap-35", "北陸"])),
        pa.array([4, 0, 240, 60], pa.uint8()),
        pa.array([4, 3, 240, 0], pa.uint8()),
    ]
    names = [["bench-7", "park", BASE + 1, 70_000], ["北陸", "park", BASE, 2**40]]
    wide = [
        _coded([0, 1], pa.array(["bench-7", "北陸"])),
        _coded([0, 0], pa.array(["park"])),
        pa.array([1, 0], pa.uint8()),
        pa.array([70_000, 2**40], pa.uint64()),
    ]
    nobody = [
        _coded([], pa.array([], pa.int64())),
        _coded([], pa.array([], pa.string())),
        pa.array([], pa.uint8()),
        pa.array([], pa.uint8()),
    ]
    return [
        _core("core", addresses, columns, BASE, 15_000),
        _core("core of names", names, wide, BASE, 1),
        _core("core without records", [], nobody, 0, 1, subjects="int64"),
    ]


def rests() -> Vectors:
    """Each kind of column besides the core: with and without nulls, with and without a unit, and only nulls."""
    duration, instant = "duration[ms]", "timestamp[ms, tz=UTC]"
    given: list[tuple[str, str, list[Any], pa.Array, dict[str, str]]] = [
        ("ssid", "string", ["guest", None, "eduroam", "guest"], _coded([1, None, 0, 1], ["eduroam", "guest"]), {}),
        ("channel", "int64", [36, 44, 36, 149], pa.array([0, 8, 0, 113], pa.uint8()), _scale(36, 1, "int64")),
        ("rssi", "int64", [-67, -71, None, -55], pa.array([1, 0, None, 4], pa.uint8()), _scale(-71, 4, "int64")),
        ("bytes_sent", "int64", [0, 65_536, 1, 7], pa.array([0, 65_536, 1, 7], pa.uint32()), _scale(0, 1, "int64")),
        ("checksum", "int64", [-MOST, MOST, 0, None], pa.array([-MOST, MOST, 0, None]), {}),
        ("same", "int64", [5, 5, 5, None], pa.array([0, 0, 0, None], pa.uint8()), _scale(5, 1, "int64")),
        (
            *("seen_at", instant, [BASE + 500, BASE, None, BASE + 250]),
            *(pa.array([2, 0, None, 1], pa.uint8()), _scale(BASE, 250, instant)),
        ),
        ("idle", duration, [0, 90_000, 256_000, 0], pa.array([0, 45, 128, 0], pa.uint8()), _scale(0, 2_000, duration)),
        ("snr", "double", [12.5, None, -0.25, 1e300], pa.array([12.5, None, -0.25, 1e300]), {}),
        ("roamed", "bool", [True, False, None, True], pa.array([True, False, None, True]), {}),
        ("building", "string", [None] * 4, pa.nulls(4), {"stored": "string"}),
        ("left_at", instant, [None] * 4, pa.nulls(4), {"stored": instant}),
    ]
    fields = [pa.field(name, array.type, metadata=about or None) for name, _, _, array, about in given]
    digest = named("digest of core", 28).hex()
    schema = pa.schema(fields, metadata={"core": digest})
    batch = pa.RecordBatch.from_arrays([array for _, _, _, array, _ in given], schema=schema)
    stored = [{"name": name, "type": kind, "values": values} for name, kind, values, _, _ in given]
    bare = pa.schema([pa.field("ssid", pa.null(), metadata={"stored": "string"})], metadata={"core": digest})
    empty = pa.RecordBatch.from_arrays([pa.nulls(0)], schema=bare)
    shared = {"group": "rest", "core_digest": digest}
    nothing = [{"name": "ssid", "type": "string", "values": []}]
    return [
        {"name": "rest", **shared, "frame": _frame(batch).hex(), "columns": stored},
        {"name": "rest without records", **shared, "frame": _frame(empty).hex(), "columns": nothing},
    ]


def rollup() -> dict[str, Any]:
    """The roll-up of the first core, given hashes of its three subjects."""
    hashes = [7, 2**63 + 11, 13]
    by_place = {None: hashes, "Café": [7, 13], "ap-35": [2**63 + 11], "北陸": [2**63 + 11]}
    rows = [
        (place, sketch([value - (1 << 64) if value >> 63 else value for value in values]))
        for place, values in by_place.items()
    ]
    schema = pa.schema([("place", pa.string()), ("sketch", pa.binary())])
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in zip(*rows, strict=True)], schema=schema)
    shown = [{"place": place, "sketch": octets.hex()} for place, octets in rows]
    return {"name": "rollup", "group": "rollup", "frame": _frame(batch).hex(), "hashes": hashes, "rows": shown}


def stream_without_a_batch() -> bytes:
    """A frame of a schema without a record batch."""
    sink = pa.BufferOutputStream()
    pa.ipc.new_stream(sink, pa.schema([])).close()
    return zstandard.ZstdCompressor(level=1).compress(sink.getvalue().to_pybytes())


def _core(
    name: str, records: list[list[Any]], columns: list[pa.Array], base: int, unit: int, subjects: str = ""
) -> dict[str, Any]:
    names = ("subject", "place", "start", "duration")
    fields = [pa.field(name, column.type) for name, column in zip(names, columns, strict=True)]
    schema = pa.schema(fields, metadata={"base": str(base), "unit": str(unit)})
    frame = _frame(pa.RecordBatch.from_arrays(columns, schema=schema))
    kind = subjects or str(columns[0].type.value_type)
    return {"name": name, "group": "core", "frame": frame.hex(), "subject_type": kind, "records": records}


def _coded(codes: list[int | None], values: Any) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.uint8()), pa.array(values))


def _scale(base: int, unit: int, stored: str) -> dict[str, str]:
    return {"stored": stored, "base": str(base), "unit": str(unit)}


def _frame(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return zstandard.ZstdCompressor(level=1).compress(sink.getvalue().to_pybytes())
