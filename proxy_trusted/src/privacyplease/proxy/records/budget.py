"""Sizes of cells: a function only of their number of records.

How well a batch compresses depends on its content, so it must not show: compressing secrets together with text that an
attacker chose is an attack of its own (CRIME; Kelsey, "Compression and Information Leakage of Plaintext", FSE 2002).

>>> budget = Budget(floor=1024, each=5.0)
>>> budget.size(1), budget.size(65_536)
(1280, 524288)
>>> budget.fitting(65_536, 600_000)  # outgrown: the next class
655360
"""

from __future__ import annotations

from typing import NamedTuple

# The first records of a cell take more room than later ones: most of them name a subject that is new to the cell.
FIRST_RECORDS = 4_096
FIRST_FACTOR = 8

# 2^k · {4, 5, 6, 7} / 4: four sizes per doubling, so at most 25 % more than needed.
_STEPS = 4


class Budget(NamedTuple):
    """How much room the cells of one group of a data set get.

    Attributes:
        floor: Bytes for every cell.
        each: Bytes for each record, and `FIRST_FACTOR` times that for each of the first `FIRST_RECORDS`.
    """

    floor: int
    each: float

    def size(self, records: int) -> int:
        """The sealed size in bytes of a cell with the given number of records."""
        weighed = records + (FIRST_FACTOR - 1) * min(records, FIRST_RECORDS)
        return size_class(self.floor + int(self.each * weighed))

    def fitting(self, records: int, sealed: int) -> int:
        """The sealed size of a cell whose content needs `sealed` bytes: larger than `size` only if it outgrows it."""
        return max(self.size(records), size_class(sealed))


def size_class(size: int) -> int:
    """The smallest of the sizes 2^k · {4, 5, 6, 7} / 4 that is at least `size`."""
    step = 1 << max((size - 1).bit_length() - _STEPS.bit_length(), 0)
    return -(-size // step) * step
