"""Rows of Spark's Kafka source: a message each, parsed by the parser that the consumer has for its data set.

| column | type | without it |
|---|---|---|
| `value` | binary | there are no messages |
| `key` | binary | dead letters have no key |
| `topic`, `partition`, `offset`, `timestamp` | as the source has them | dead letters do not say where the message is |
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from privacyplease.ingest.kafka.consumer.parsers import Parser
from privacyplease.ingest.kafka.dead_letters import Origin, UnsealedLetter
from privacyplease.ingest.parsing import RejectedMessage
from privacyplease.ingest.spark.parsed_batches import ParsedBatch

__all__ = ["COLUMNS", "VALUE", "KafkaMessages"]

VALUE = "value"
COLUMNS = {
    VALUE: "binary",
    "key": "binary",
    "topic": "string",
    "partition": "int",
    "offset": "bigint",
    "timestamp": "timestamp",
    "timestampType": "int",
}
"""The columns of Spark's Kafka source, with their types in Spark."""


class KafkaMessages:
    """Parses messages.

    Args:
        parse: Parses the messages of the data set.
        topic: The topic that messages are from if there is no column `topic`.
    """

    def __init__(self, parse: Parser, topic: str) -> None:
        self._parse = parse
        self._topic = topic

    def __call__(self, batch: pa.RecordBatch) -> Iterator[ParsedBatch]:
        """Parses one message a row; a row without a value counts as an empty message."""
        values = [value or b"" for value in batch.column(VALUE).to_pylist()]
        yield ParsedBatch(lambda reject: self._letter(batch, values, reject), self._parse(values))

    def _letter(self, batch: pa.RecordBatch, values: list[bytes], reject: RejectedMessage) -> UnsealedLetter:
        row = batch.slice(reject.position, 1)
        known = {name: row.column(name)[0] for name in row.schema.names if name != VALUE}
        timestamp = known["timestamp"].cast(pa.timestamp("ms", "UTC")).value if "timestamp" in known else None
        origin = Origin(
            str(known["topic"]) if "topic" in known else self._topic,
            known["partition"].as_py() if "partition" in known else 0,
            known["offset"].as_py() if "offset" in known else reject.position,
            -1 if timestamp is None else timestamp,
        )
        key = known["key"].as_py() if "key" in known else None
        return UnsealedLetter(values[reject.position], key, origin, reject.field, reject.reason)
