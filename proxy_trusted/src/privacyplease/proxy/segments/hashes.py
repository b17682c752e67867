"""Hashes of subjects: a PRF under keys of the data set that outlive its epochs.

The keys outlive epochs because a subject who was there in two of them counts once. A hash that anybody can compute
would let a sender of made-up addresses choose how a filter or a sample treats them. The hashes are stored only in
sealed cells and sealed rows.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.prf import BLOCK, FEW, Bytes, cmac, cmac_each
from privacyplease.proxy.keys.wrapped_keys import manifest_of
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.pages import Int64Array

FILTER_LABEL = b"privacyplease/v2/filter"
ROLLUP_LABEL = b"privacyplease/v2/rollup"


def lasting_key(dataset: Dataset, keyring: Keyring, label: bytes) -> Key:
    """The data set's key for one purpose, the same in all epochs.

    Raises:
        KeyUnavailableError: It does not open under the master key.
    """
    owner = manifest_of(dataset.name)
    return keyring.derived(owner, keyring.ensure(owner, 0), label)


def subject_hashes(key: Key, values: pa.Array, kind: ColumnType) -> npt.NDArray[np.uint64]:
    """The first 64 bits of AES-CMAC (RFC 4493) of each of n stored values, distinct and without nulls: uint64[n]."""
    octets, offsets = _octets(values, kind)
    if len(values) <= FEW:
        return _leading(cmac_each(key, [octets[begin:end].tobytes() for begin, end in pairwise(offsets.tolist())]))
    lengths = np.diff(offsets)
    hashed = np.empty((len(lengths), BLOCK), np.uint8)
    sizes = np.frexp(lengths)[1]  # by magnitude of length, or one long value would widen every row
    for size in np.unique(sizes):
        rows = np.flatnonzero(sizes == size)
        hashed[rows] = cmac(key, _messages(octets, offsets[rows], int(lengths[rows].max())), lengths[rows])
    return _leading(hashed)


def _leading(blocks: Bytes) -> npt.NDArray[np.uint64]:
    """The first 64 bits of each block."""
    return blocks[:, :8].copy().view(">u8").ravel().astype(np.uint64)


def _octets(values: pa.Array, kind: ColumnType) -> tuple[Bytes, Int64Array]:
    """The bytes of the values, one after the other: six for a MAC address, else the text in UTF-8.

    Returns:
        The bytes, and where each value begins and the last one ends: int64[n + 1].
    """
    if kind is ColumnType.MAC:
        octets = values.to_numpy().astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
        return octets.ravel(), np.arange(len(octets) + 1) * 6
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    return np.frombuffer(values.buffers()[2] or b"", np.uint8), offsets.astype(np.int64)


def _messages(octets: Bytes, begins: Int64Array, width: int) -> Bytes:
    """The bytes from each beginning on: uint8[n, width]. Bytes past the end of a value do not matter."""
    if not width:
        return np.zeros((len(begins), 0), np.uint8)
    messages: Bytes = octets[np.minimum(begins[:, None] + np.arange(width), len(octets) - 1)]
    return messages
