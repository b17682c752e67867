"""Sizes of cells: a function of the number of their records alone.

How well a batch compresses is decided by what is in it, so it must not show: compression beside text that somebody else
chose is an attack of its own (CRIME; Kelsey, "Compression and Information Leakage of Plaintext", FSE 2002).

>>> budget = Budget(floor=1024, each=5.0)
>>> budget.size(1), budget.size(65_536)
(1280, 524288)
>>> budget.fitting(65_536, 600_000)  # outgrown: the next class
655360
"""

from __future__ import annotations

from typing import NamedTuple

# The first records of a cell take more room than those that follow: most of them name somebody new.
FIRST_RECORDS = 4_096
FIRST_FACTOR = 8

# 2^k · {4, 5, 6, 7} / 4: four sizes to each doubling, at most 25 % more than was asked for.
_STEPS = 4


class Budget(NamedTuple):
    """What the cells of one group of a data set take.

    Attributes:
        floor: Bytes that any cell has.
        each: Bytes for each record, and `FIRST_FACTOR` times that for each of the first `FIRST_RECORDS`.
    """

    floor: int
    each: float

    def size(self, records: int) -> int:
        """The size of a cell of so many records, sealed, in bytes."""
        weighed = records + (FIRST_FACTOR - 1) * min(records, FIRST_RECORDS)
        return size_class(self.floor + int(self.each * weighed))

    def fitting(self, records: int, sealed: int) -> int:
        """The size of a cell whose content takes so many bytes, sealed: larger only if it outgrows its budget."""
        return max(self.size(records), size_class(sealed))


def size_class(size: int) -> int:
    """The smallest of the sizes 2^k · {4, 5, 6, 7} / 4 that is no smaller."""
    step = 1 << max((size - 1).bit_length() - _STEPS.bit_length(), 0)
    return -(-size // step) * step
