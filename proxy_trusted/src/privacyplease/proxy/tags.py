"""Tags and bins: the names under which the server keeps cells.

A tag is the PRF of (level, bucket, bin) under the tag key of an index in an epoch. The three are written into one AES
block, so different ones never share a tag under one key; under two keys, two tags are equal with probability 2^-128.

::

    byte   0      1 … 3    4 … 7        8 … 15
         level    zero     bin (u32)    bucket (i64)       all big endian
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.columns import ColumnType
from privacyplease.proxy.keys import Key
from privacyplease.proxy.prf import BLOCK, Bytes, cmac, permute

TAG_BYTES = BLOCK

Numbers = npt.NDArray[np.int64]

_BLOCK_LAYOUT = np.dtype([("level", "u1"), ("zero", "u1", 3), ("bin", ">u4"), ("bucket", ">i8")])


def tags(key: Key, levels: Numbers, buckets: Numbers, bins: Numbers) -> Bytes:
    """The tag of each (level, bucket, bin).

    Args:
        key: The tag key of an index in an epoch.
        levels: int64[n], 0 to 255.
        buckets: int64[n].
        bins: int64[n], 0 to 2^32 - 1.

    Returns:
        uint8[n, 16].
    """
    blocks = np.zeros(len(levels), _BLOCK_LAYOUT)
    blocks["level"], blocks["bin"], blocks["bucket"] = levels, bins, buckets
    return permute(key, blocks.view(np.uint8).reshape(-1, BLOCK))


def bins(key: Key, values: pa.Array, kind: ColumnType, count: int) -> Numbers:
    """The bin of each of n stored values of an index's key: a PRF of the value, modulo the number of bins.

    The PRF is computed once for each distinct value. 64 of its bits are reduced, so no bin is favoured by more than
    `count` / 2^64.

    Args:
        key: The bin key of an index in an epoch.
        values: n stored values, without nulls.
        kind: Their type.
        count: The number of bins.

    Returns:
        int64[n], 0 to `count` - 1.
    """
    encoded = values.dictionary_encode()
    messages, lengths = _messages(encoded.dictionary, kind)
    hashed = cmac(key, messages, lengths)[:, :8].copy().view(">u8").ravel()
    chosen = (hashed % np.uint64(count)).astype(np.int64)
    return chosen[np.asarray(encoded.indices, np.int64)]


def _messages(values: pa.Array, kind: ColumnType) -> tuple[Bytes, Numbers]:
    """The bytes that stand for each value: six for a MAC address, else its text in UTF-8. One row a value."""
    if kind is ColumnType.MAC:
        octets = values.to_numpy().astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
        return octets, np.full(len(octets), 6, np.int64)
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1].astype(
        np.int64
    )
    lengths = np.diff(offsets)
    text = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    width = int(lengths.max(initial=0))
    columns = np.minimum(offsets[:-1, None] + np.arange(width), max(len(text) - 1, 0))
    return (text[columns] if width else np.zeros((len(values), 0), np.uint8)), lengths
