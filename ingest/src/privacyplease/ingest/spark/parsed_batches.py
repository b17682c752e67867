"""What the rows of a batch become: parsed records, and for each row that was rejected its dead letter."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from privacyplease.ingest.kafka.dead_letters import UnsealedLetter
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage

__all__ = ["Letter", "ParsedBatch", "Reader"]

Letter: TypeAlias = Callable[[RejectedMessage], UnsealedLetter]
"""Makes the dead letter of a row that was rejected."""


class ParsedBatch(NamedTuple):
    """Records that were parsed, and how to make the dead letters of the others."""

    letter: Letter
    parsed: ParsedMessages


Reader: TypeAlias = Callable[[pa.RecordBatch], Iterator[ParsedBatch]]
"""Parses the rows of one Arrow batch, as one or several batches."""
