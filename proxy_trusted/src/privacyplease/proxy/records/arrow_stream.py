"""Arrow IPC streams from elsewhere, checked before Arrow reads them: what they may make it allocate is bounded.

What their envelopes declare is checked in `transport.arrow_messages`. What is left to check here is text that takes
memory only once it is written out: long values that many records refer to.

>>> sink = pa.BufferOutputStream()
>>> with pa.ipc.new_stream(sink, pa.schema({"who": pa.string()})) as writer:
...     writer.write(pa.record_batch({"who": ["alice"]}))
>>> read(sink.getvalue().to_pybytes(), most_records=100)["who"].to_pylist()
['alice']
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.transport.arrow_messages import (
    MalformedStreamError,
    MessageCheck,
    StreamLimits,
    UnboundedStreamError,
)

# Text of all records, each value counted as often as it occurs: four times what fits into a batch as plain text.
MOST_TEXT_BYTES = 64 * 1024 * 1024

__all__ = ["UnboundedStreamError", "check", "read"]


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
    text = sum(map(_text_bytes, table.columns))
    if text > MOST_TEXT_BYTES:
        raise UnboundedStreamError(f"expected at most {MOST_TEXT_BYTES:,} bytes of text, written out, got {text:,}")
    return table


def check(stream: bytes, most_records: int) -> None:
    """Checks that Arrow can read a stream, and decode its columns, without allocating much more than its length.

    Values of dictionaries are not written out then.

    Raises:
        UnboundedStreamError: As `read`.
        pa.ArrowInvalid: It is no Arrow IPC stream.
    """
    checked, position = MessageCheck(StreamLimits.whole(most_records)), 0
    try:
        while position < len(stream) and (length := checked.header(stream[position : position + 8])):
            position += 8 + length
            position += checked.message(stream[position - length : position])
            if position > len(stream):
                raise MalformedStreamError("expected a whole Arrow IPC message")
    except MalformedStreamError as error:
        raise pa.ArrowInvalid(str(error)) from error


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
