"""Rows of Spark's `binaryFile` source: a whole WiFi session log each, gzipped or not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import tzinfo

import numpy as np
import pyarrow as pa

from privacyplease.ingest import wifi
from privacyplease.ingest.errors import IngestError
from privacyplease.ingest.kafka.dead_letters import Origin, UnsealedLetter
from privacyplease.ingest.parsing import ParsedMessages, RejectedMessage
from privacyplease.ingest.spark.parsed_batches import ParsedBatch

__all__ = ["COLUMNS", "CONTENT", "LogFiles"]

CONTENT = "content"
COLUMNS = {"path": "string", "modificationTime": "timestamp", "length": "bigint", CONTENT: "binary"}
"""The columns of Spark's `binaryFile` source, with their types in Spark."""

_IN_ITS_FILE = "it is still in its file, at the path and line of its origin"


class LogFiles:
    """Parses session logs.

    Args:
        zone: The time zone of times that do not name theirs.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone

    def __call__(self, batch: pa.RecordBatch) -> Iterator[ParsedBatch]:
        """Parses one log a row. A log that cannot be read any further is rejected from there on, as one record."""
        for path, content in zip(batch.column("path").to_pylist(), batch.column(CONTENT), strict=True):
            yield from self._parsed(path, io.BytesIO(content.as_buffer()))

    def _parsed(self, path: str, content: io.BytesIO) -> Iterator[ParsedBatch]:
        try:
            for block in wifi.read(content, timezone=self._zone):
                yield _parsed_block(path, block)
        except IngestError as error:
            unread = RejectedMessage(0, "record", str(error))
            nothing = ParsedMessages(wifi.SCHEMA.empty_table(), np.empty(0, np.int64), [unread])
            yield ParsedBatch(lambda reject: _letter(path, 0, "", reject, _IN_ITS_FILE), nothing)


def _parsed_block(path: str, block: wifi.Block) -> ParsedBatch:
    """A block as a batch whose positions are line numbers."""
    records = {each.line: each.record for each in block.rejects}
    rejects = [RejectedMessage(each.line, each.field, each.reason) for each in block.rejects]

    def letter(reject: RejectedMessage) -> UnsealedLetter:
        line = reject.position
        if line in records:
            return _letter(path, line, records[line], reject, "")
        row = int(np.searchsorted(block.lines, line))  # rejected by the proxy
        return _letter(path, line, block.records.line(row), reject, "")

    return ParsedBatch(letter, ParsedMessages(block.table, block.lines, rejects))


def _letter(path: str, line: int, record: str, reject: RejectedMessage, omitted: str) -> UnsealedLetter:
    # Surrogate escapes stand for bytes that were not UTF-8.
    raw = record.encode("utf-8", "surrogateescape")
    return UnsealedLetter(raw, None, Origin(path, 0, line, -1), reject.field, reject.reason, omitted)
