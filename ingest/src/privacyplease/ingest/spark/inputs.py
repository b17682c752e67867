"""What the rows of a DataFrame are, by its columns: Kafka messages, log files, or records."""

from __future__ import annotations

from collections.abc import Mapping

from privacyplease.client import Dataset
from privacyplease.ingest.errors import LayoutError
from privacyplease.ingest.kafka.consumer.parsers import parser_for
from privacyplease.ingest.spark import kafka_messages, log_files
from privacyplease.ingest.spark.column_types import require_columns
from privacyplease.ingest.spark.kafka_messages import KafkaMessages
from privacyplease.ingest.spark.log_files import LogFiles
from privacyplease.ingest.spark.options import BadRecords, SinkOptions
from privacyplease.ingest.spark.parsed_batches import Reader
from privacyplease.ingest.spark.record_rows import RecordRows
from privacyplease.ingest.wifi.zones import zone_named

__all__ = ["reader_for", "require_readable"]

_LOGGED = "wifi"  # the only data set that logs are read for

# No column of a data set is binary, so these tell the kinds apart.
_BINARY = "binary"


def require_readable(types: Mapping[str, str], dataset: Dataset, options: SinkOptions) -> None:
    """Makes sure that rows with these columns can be read, before any is.

    Args:
        types: The type of each column, by its name in Spark (`df.dtypes`).
        dataset: The definition of the data set.
        options: The options of the data source.

    Raises:
        LayoutError: They cannot, and why.
        IngestError: There is no parser for messages of the data set.
    """
    if types.get(kafka_messages.VALUE) == _BINARY:
        parser_for(dataset.name, None)
        _require_only(types, kafka_messages.COLUMNS, "Spark's Kafka source")
        located = "topic" in types
    elif types.get(log_files.CONTENT) == _BINARY:
        if dataset.name != _LOGGED:
            raise LayoutError(f"expected the data set {_LOGGED!r} for log files, got {dataset.name!r}")
        _require_only(types, log_files.COLUMNS, "Spark's binaryFile source")
        located = False
    else:
        require_columns(types, dataset, options)
        located = False
    if options.bad_records is BadRecords.DEAD_LETTER and not (located or options.dead_letter_topic):
        raise LayoutError("expected the option deadLetter.topic, since these rows are from no topic of Kafka")


def reader_for(types: Mapping[str, str], dataset: Dataset, options: SinkOptions) -> Reader:
    """The reader for rows with these columns."""
    zone = zone_named(options.timezone) if options.timezone else None
    if types.get(kafka_messages.VALUE) == _BINARY:
        return KafkaMessages(parser_for(dataset.name, zone), options.dead_letter_topic)
    if types.get(log_files.CONTENT) == _BINARY:
        return LogFiles(zone)
    return RecordRows(dataset, options.duration_unit, zone)


def _require_only(types: Mapping[str, str], known: Mapping[str, str], source: str) -> None:
    for name, given in types.items():
        if known.get(name) != given:
            raise LayoutError(f"expected columns of {source} ({', '.join(known)}), got {name!r} of type {given}")
