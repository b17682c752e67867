"""What becomes of a batch of messages: a table of the good ones, and what is wrong with each of the others."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Misfit", "Parsed"]


class Misfit(NamedTuple):
    """A message that is no record.

    Attributes:
        position: Which of the batch's messages, counted from 0.
        field: The column at fault, or `record` where it is the message as a whole.
        reason: What was expected. Never holds a value, so it may be logged and shown.
    """

    position: int
    field: str
    reason: str


class Parsed(NamedTuple):
    """A batch that was read.

    Attributes:
        table: n records, in the batch's order.
        rows: int64[n], which message each comes from.
        rejects: The messages that stay out.
    """

    table: pa.Table
    rows: npt.NDArray[np.int64]
    rejects: list[Misfit]
