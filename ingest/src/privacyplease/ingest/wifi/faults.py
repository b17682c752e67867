"""What is wrong with which rows of a column."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Fault"]


class Fault(NamedTuple):
    """Rows that have the same thing wrong.

    Attributes:
        rows: int64[k], which rows of the column.
        reason: What was expected; never holds a value.
    """

    rows: npt.NDArray[np.int64]
    reason: str
