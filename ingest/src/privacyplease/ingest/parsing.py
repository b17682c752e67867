"""What parsing yields: a table of the good records, and a reason for each line or message that was rejected."""

import dataclasses
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["ParsedMessages", "RejectedLine", "RejectedMessage"]


@dataclasses.dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line of a log that is not ingested.

    Attributes:
        line: Its number in the log, counted from 1.
        field: The column at fault, or `record` where it is the line as a whole.
        reason: What was expected. Never holds a value of the log, so it may be logged and shown.
        record: The raw line. Bytes that are not UTF-8 are surrogate escapes. Not in the repr, since it is plaintext.
    """

    line: int
    field: str
    reason: str
    record: str = dataclasses.field(repr=False)


class RejectedMessage(NamedTuple):
    """A message that is not a valid record.

    Attributes:
        position: Its position in the batch, counted from 0.
        field: The column at fault, or `record` where it is the message as a whole.
        reason: What was expected. Never holds a value of the message, so it may be logged and shown.
    """

    position: int
    field: str
    reason: str


class ParsedMessages(NamedTuple):
    """A batch of messages that was parsed.

    Attributes:
        table: n records, in the batch's order.
        rows: int64[n], the position of each record's message in the batch.
        rejects: The messages that are not valid records.
    """

    table: pa.Table
    rows: npt.NDArray[np.int64]
    rejects: list[RejectedMessage]
