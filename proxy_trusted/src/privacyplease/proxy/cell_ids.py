"""Cell ids: 16 bytes that look random, and say to whoever has the key when the cell was sealed.

::

    cell id = AES-256(cell id key, time in ms since 1970 (6 bytes) ‖ random (10))

The storage server, and a thief of its disk, sees what it saw before: values of a pseudorandom permutation of distinct
blocks. A proxy whose trusted store was restored from a backup learns which cells under a tag are old enough to be those
that the backup knows (`adopting.py`). It is a hint and no more: what it says is checked against the ledger.

>>> key = Key(bytes(32))
>>> ids = draw(key, 3, at=1_727_784_000_123)
>>> sealed_at(key, np.frombuffer(ids, np.uint8).reshape(-1, 16)).tolist()
[1727784000123, 1727784000123, 1727784000123]
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from privacyplease.proxy.cells import CELL_ID_BYTES
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.prf import Bytes, permute, unpermute

CELL_ID_LABEL = b"privacyplease/v1/cell-id"

_TIME_BYTES = 6
_DRAWN_AT_ONCE = 64


def drawing(key: Key) -> Iterator[bytes]:
    """Ids for cells that are being sealed now, without end."""
    while True:
        ids = draw(key, _DRAWN_AT_ONCE, int(time.time() * 1_000))
        yield from (ids[begin : begin + CELL_ID_BYTES] for begin in range(0, len(ids), CELL_ID_BYTES))


def draw(key: Key, count: int, at: int) -> bytes:
    """Ids of cells that are sealed at an instant, in ms since 1970, one after the other.

    With n of them drawn in one millisecond two are equal with probability n^2 / 2^81.
    """
    blocks = np.empty((count, CELL_ID_BYTES), np.uint8)
    blocks[:, :_TIME_BYTES] = np.frombuffer(at.to_bytes(_TIME_BYTES, "big"), np.uint8)
    fresh = secrets.token_bytes(count * (CELL_ID_BYTES - _TIME_BYTES))
    blocks[:, _TIME_BYTES:] = np.frombuffer(fresh, np.uint8).reshape(count, -1)
    return permute(key, blocks).tobytes()


def sealed_at(key: Key, ids: Bytes) -> npt.NDArray[np.int64]:
    """When the cells of some ids (uint8[n, 16]) were sealed: int64[n], ms since 1970; anything for ids of others."""
    padded = np.zeros((len(ids), 8), np.uint8)
    padded[:, 8 - _TIME_BYTES :] = unpermute(key, ids)[:, :_TIME_BYTES]
    return padded.view(">u8").ravel().astype(np.int64)
