"""What crosses the trust boundary: a tag, and a sealed cell under it."""

from __future__ import annotations

from typing import NamedTuple, NewType

TAG_BYTES = 16

# Indistinguishable from random without the tag key. A tag has the same cell for ever.
Tag = NewType("Tag", bytes)

# Ciphertext, padded to its size class.
Sealed = NewType("Sealed", bytes)


class Cell(NamedTuple):
    """A sealed group of columns of one segment, and the tag that the server finds it by."""

    tag: Tag
    sealed: Sealed
