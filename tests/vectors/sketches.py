"""Theta sketches of Apache DataSketches, byte by byte: those that hold every hash they were given.

>>> sketch([]).hex()
'01030300001ecc93'
"""

from __future__ import annotations

import struct

SEED = 9_001
SEED_HASH = 0x93CC

_ALL = (1 << 64) - 1
_READ_ONLY, _EMPTY, _COMPACT, _ORDERED = 2, 4, 8, 16


def sketch(values: list[int]) -> bytes:
    """The compact, ordered form (serial version 3) of numbers of 64 bits with a sign, at most 2^16 different ones."""
    hashes = sorted({murmur3(struct.pack("<q", value), SEED) >> 1 for value in values})
    flags = _READ_ONLY | _COMPACT | _ORDERED | (0 if hashes else _EMPTY)
    long_words = 2 if len(hashes) > 1 else 1
    preamble = struct.pack("<BBBHBH", long_words, 3, 3, 0, flags, SEED_HASH)
    count = struct.pack("<II", len(hashes), 0) if len(hashes) > 1 else b""
    return preamble + count + struct.pack(f"<{len(hashes)}Q", *hashes)


def murmur3(message: bytes, seed: int) -> int:
    """The first 64 bits of MurmurHash3_x64_128 (Appleby) of eight bytes."""
    first, second = seed, seed
    k1 = int.from_bytes(message, "little") * 0x87C37B91114253D5 & _ALL
    first ^= _rotated(k1, 31) * 0x4CF5AD432745937F & _ALL
    first, second = first ^ len(message), second ^ len(message)
    first = first + second & _ALL
    second = second + first & _ALL
    first, second = _mixed(first), _mixed(second)
    return first + second & _ALL


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> 64 - bits) & _ALL


def _mixed(word: int) -> int:
    word = (word ^ word >> 33) * 0xFF51AFD7ED558CCD & _ALL
    word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53 & _ALL
    return word ^ word >> 33
