"""Filters of subjects: whether a segment can hold a subject, without opening it.

A Bloom filter (Bloom, CACM 1970) over a PRF of the subject, with ten bits a subject and seven probes: of a hundred
segments without the subject, one is opened in vain. It is part of the manifest's sealed row; the storage server sees
nothing of it, and is asked for the same cells whatever it says.

>>> hashes = np.arange(1, 1001, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
>>> subject_filter = make(hashes)
>>> all(may_hold(subject_filter, probe) for probe in hashes.tolist())
True
>>> len(subject_filter)
1250
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

BITS_EACH = 10
PROBES = 7

# A larger filter is not kept: the manifest would grow by more than the filter saves.
MOST_BYTES = 32 * 1024

Hashes = npt.NDArray[np.uint64]

_LOW = 0xFFFFFFFF


def make(hashes: Hashes) -> bytes:
    """The filter of subjects by their hashes: uint64[n]. One that would be too large is empty: it rules nobody out."""
    size = -(-len(hashes) * BITS_EACH // 8)
    if not 0 < size <= MOST_BYTES:
        return b""
    bits = np.zeros(size * 8, np.uint8)
    low, high = hashes & np.uint64(_LOW), hashes >> np.uint64(32)
    for probe in range(PROBES):
        bits[(low + np.uint64(probe) * high) % np.uint64(size * 8)] = 1
    return np.packbits(bits).tobytes()


def may_hold(subject_filter: bytes, hashed: int) -> bool:
    """Whether the filter's segment can hold a subject. Probes follow Kirsch and Mitzenmacher, ESA 2006."""
    size = len(subject_filter) * 8
    low, high = hashed & _LOW, hashed >> 32
    return not size or all(
        subject_filter[bit >> 3] & (0x80 >> (bit & 7))
        for bit in ((low + probe * high) % size for probe in range(PROBES))
    )
