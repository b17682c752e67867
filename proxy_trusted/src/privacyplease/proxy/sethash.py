"""Set hashes: a value of constant size for a set of cells, which no other set of cells has.

The hash of a set is the sum of a PRF of its members, as MSet-Add-Hash in Clarke, Devadas, van Dijk, Gassend and Suh,
"Incremental Multiset Hash Functions and Their Application to Memory Integrity Checking", ASIACRYPT 2003. So it is kept
up to date by adding, in any order and without the members. Here the sum is taken in (Z / 2^32)^4 instead of Z / 2^128:
as many values, and a database can add four numbers by itself.

Why nobody finds another set with the same hash: whoever lacks the key sees PRF values as independent and uniform, and
two different sets differ in a member that is in one alone, so their hashes agree with probability 2^-128. An
adversary who could see hashes might solve for collisions of sums; the untrusted server sees none, and learns of each
attempt only that it failed. (Clarke et al. mask the sum with a nonce because theirs lies where the adversary reads.)

>>> key = Key(bytes(32))
>>> tags, ids = np.zeros((3, 16), np.uint8), np.arange(48, dtype=np.uint8).reshape(3, 16)
>>> members = entries(key, tags, ids)
>>> one, rest = sums(members, np.array([0, 1, 1]), 2)
>>> bool((added(one, rest) == sums(members, np.zeros(3, np.int64), 1)[0]).all())
True
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.prf import Bytes, permute

Numbers = npt.NDArray[np.int64]

# What is kept of a set: how many members it has, and the four numbers of its hash.
WIDTH = 5
_MODULUS = np.array([1 << 62, *[1 << 32] * 4], np.int64)


def entries(key: Key, tags: Bytes, cell_ids: Bytes) -> Numbers:
    """What each cell adds to the hash of a set that it is in.

    The PRF is CBC-MAC over the two blocks tag and cell id. All messages have the same length, for which plain CBC-MAC
    is a PRF (Bellare, Kilian and Rogaway, JCSS 61(3), 2000); it costs two AES calls for any number of cells.

    Args:
        key: The ledger key of an index in an epoch.
        tags: uint8[n, 16].
        cell_ids: uint8[n, 16].

    Returns:
        int64[n, 5]: one, and four numbers below 2^32.
    """
    values = permute(key, permute(key, tags) ^ cell_ids).view(">u4")
    return np.column_stack([np.ones(len(values), np.int64), values.astype(np.int64)])


def sums(members: Numbers, sets: Numbers, count: int) -> Numbers:
    """Count and hash of each set.

    Args:
        members: int64[n, 5], as `entries` gives them, or sums of such.
        sets: int64[n], the set that each belongs to, 0 to `count` - 1.
        count: The number of sets.

    Returns:
        int64[count, 5]; zeros for an empty set.
    """
    total = np.zeros((count, WIDTH), np.int64)
    if len(sets):
        order = np.argsort(sets, kind="stable")
        ordered = sets[order]
        begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        total[ordered[begins]] = np.add.reduceat(members[order], begins)
    return total % _MODULUS


def added(some: Numbers, others: Numbers) -> Numbers:
    """Count and hash of the unions of disjoint sets, int64[…, 5] each."""
    return (some + others) % _MODULUS
