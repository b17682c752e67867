"""Tags and bins: the names under which the server keeps cells.

A tag is the PRF of (level, bucket, bin) under the tag key of an index in an epoch. The three are written into one AES
block, so different ones never share a tag under one key; under two keys, two tags are equal with probability 2^-128.
For cells of a run (`holdings.py`) and of its roll-up the run's number stands for the bucket, and the level is one that
no bucket has.

::

    byte   0      1 … 3    4 … 7        8 … 15
         level    zero     bin (u32)    bucket (i64)       all big endian
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.prf import BLOCK, FEW, Bytes, cmac, cmac_each, permute
from privacyplease.proxy.records.columns import ColumnType

TAG_BYTES = BLOCK
RUN_LEVEL = 255
ROLLUP_LEVEL = 254

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
    """The bin of each of n stored values of an index's key: their hash modulo the number of bins.

    64 bits are reduced, so no bin is favoured by more than `count` / 2^64.

    Args:
        key: The bin key of an index in an epoch.
        values: n stored values, without nulls.
        kind: Their type.
        count: The number of bins.

    Returns:
        int64[n], 0 to `count` - 1.
    """
    return (hashes(key, values, kind) % np.uint64(count)).astype(np.int64)


def hashes(key: Key, values: pa.Array, kind: ColumnType) -> npt.NDArray[np.uint64]:
    """The first 64 bits of a PRF, AES-CMAC, of each of n stored values, without nulls: uint64[n].

    It is computed once for each distinct value.
    """
    if len(values) <= FEW:
        octets, offsets = _octets(values, kind)
        found = cmac_each(key, [octets[begin:end].tobytes() for begin, end in pairwise(offsets.tolist())])
        return _leading(found)
    encoded = values.dictionary_encode()
    octets, offsets = _octets(encoded.dictionary, kind)
    lengths = np.diff(offsets)
    hashed = np.empty((len(lengths), BLOCK), np.uint8)
    sizes = np.frexp(lengths)[1]  # lengths in bits: like lengths together, or one long value would widen every row
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        hashed[rows] = cmac(key, _messages(octets, offsets[rows], int(lengths[rows].max())), lengths[rows])
    return _leading(hashed)[np.asarray(encoded.indices, np.int64)]


def _leading(blocks: Bytes) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each block."""
    return blocks[:, :8].copy().view(">u8").ravel().astype(np.uint64)


def _octets(values: pa.Array, kind: ColumnType) -> tuple[Bytes, Numbers]:
    """The bytes that stand for the values, one after the other: six for a MAC address, else the text in UTF-8.

    Returns:
        The bytes, and where each value begins and the last one ends: int64[n + 1].
    """
    if kind is ColumnType.MAC:
        octets = values.to_numpy().astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
        return octets.ravel(), np.arange(len(octets) + 1) * 6
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(values.buffers()[2] or b"", np.uint8), offsets.astype(np.int64)


def _messages(octets: Bytes, begins: Numbers, width: int) -> Bytes:
    """The bytes from each beginning on: uint8[n, width]. What lies behind a value's end does not matter."""
    if not width:
        return np.zeros((len(begins), 0), np.uint8)
    messages: Bytes = octets[np.minimum(begins[:, None] + np.arange(width), len(octets) - 1)]
    return messages
