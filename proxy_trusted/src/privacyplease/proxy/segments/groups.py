"""Groups of columns, and the tags under which the server keeps their cells.

A tag is the PRF of a segment's number and one of its groups, under the tag key of that group in an epoch. Both are
encoded in one AES block, so different pairs never share a tag under one key; under two keys, two tags are equal with
probability 2^-128.

::

    byte   0        1 … 7    8 … 15
         group      zero     segment (u64)       big endian
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NewType

import numpy as np

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.prf import BLOCK, permute
from privacyplease.proxy.storage.cell import TAG_BYTES, Tag

# Identifies a segment among all that its data set ever had. Never assigned twice: tags are derived from it.
SegmentId = NewType("SegmentId", int)

_BLOCK_LAYOUT = np.dtype([("group", "u1"), ("zero", "u1", 7), ("segment", ">u8")])


class Group(IntEnum):
    """The columns of a segment that are sealed together.

    `CORE` is who, where, from when and for how long: all that presence, counting and dwell need. `REST` is every other
    column. `ROLLUP` has who was at each place during the whole segment.
    """

    CORE = 1
    REST = 2
    ROLLUP = 3

    @property
    def label(self) -> str:
        """Its name in the contexts of keys and associated data."""
        return self.name.lower()


def tags(key: Key, group: Group, segments: Sequence[SegmentId]) -> list[Tag]:
    """The tag of one group of each segment.

    Args:
        key: The tag key of the group in the segments' epoch.
        group: The group.
        segments: n numbers, 0 to 2^64 - 1.
    """
    blocks = np.zeros(len(segments), _BLOCK_LAYOUT)
    blocks["group"], blocks["segment"] = group, segments
    octets = permute(key, blocks.view(np.uint8).reshape(-1, BLOCK)).tobytes()
    return [Tag(octets[begin : begin + TAG_BYTES]) for begin in range(0, len(octets), TAG_BYTES)]
