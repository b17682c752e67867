"""The data source `privacyplease` for Spark: the classes that it calls, on the driver and on executors.

| where | what |
|---|---|
| driver, as a query starts | `PrivacyPleaseDataSource` reads the options and asks the proxy for the columns |
| executors | `write` uploads the rows of a partition, and returns once each is durable |
| driver, after each batch | `commit` reports what the tasks counted |

Spark repeats a task, and after a restart a whole batch, if it does not know whether it succeeded. That changes no
answer: a record is identified by subject, place and start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.datasource import (
    DataSource,
    DataSourceArrowWriter,
    DataSourceStreamArrowWriter,
    WriterCommitMessage,
)
from pyspark.sql.types import StructType

from privacyplease.client import Dataset
from privacyplease.ingest.errors import SettingsError
from privacyplease.ingest.spark import commit_reports
from privacyplease.ingest.spark.inputs import reader_for, require_readable
from privacyplease.ingest.spark.options import SinkOptions
from privacyplease.ingest.spark.spill_protection import require_encryption
from privacyplease.ingest.spark.task import TaskCounts, TaskUpload, definition

__all__ = ["PrivacyPleaseDataSource"]


class PrivacyPleaseDataSource(DataSource):
    """Writes records to the proxy. It cannot be read from: answers come from a client.

    Args:
        options: Options by name; `docs/SPARK.md` lists them.

    Raises:
        SettingsError: An option is unknown, missing, or has a value that it cannot have.
        PrivacyPleaseError: The proxy does not respond, or does not accept the certificate.
    """

    def __init__(self, options: Mapping[str, str]) -> None:
        super().__init__(dict(options))
        self._sink = SinkOptions.read(options)
        self._dataset = definition(self._sink)

    @classmethod
    def name(cls) -> str:
        """The name of the format."""
        return "privacyplease"

    def writer(self, schema: StructType, overwrite: bool) -> _BatchWriter:
        """Writes a batch, in mode `append`."""
        _refuse_overwriting(overwrite)
        return _BatchWriter(self._sink, self._dataset, schema)

    def streamWriter(self, schema: StructType, overwrite: bool) -> _StreamWriter:  # noqa: N802  # Spark's name
        """Writes a stream, in output mode `append`."""
        _refuse_overwriting(overwrite)
        return _StreamWriter(self._sink, self._dataset, schema)


@dataclass(frozen=True)
class _Committed(WriterCommitMessage):
    """What a task has counted."""

    counts: TaskCounts


class _Writer:
    """What batches and streams have in common.

    Raises:
        LayoutError: The rows cannot be read as records.
    """

    def __init__(self, options: SinkOptions, dataset: Dataset, schema: StructType) -> None:
        types = {field.name: field.dataType.simpleString() for field in schema.fields}
        require_readable(types, dataset, options)
        self._options = options
        self._dataset = dataset
        self._types = types

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """Uploads the rows of a partition; called on an executor."""
        task = TaskContext.get()
        require_encryption(task.getLocalProperty if task else lambda _name: None)
        reader = reader_for(self._types, self._dataset, self._options)
        return _Committed(TaskUpload(self._options, reader).run(iterator))


class _BatchWriter(_Writer, DataSourceArrowWriter):
    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """Reports a batch that was written; called on the driver."""
        commit_reports.report(_total(messages))


class _StreamWriter(_Writer, DataSourceStreamArrowWriter):
    def commit(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803
        """Reports a batch of the stream that was written; called on the driver."""
        commit_reports.report(_total(messages), batchId)


def _refuse_overwriting(overwrite: bool) -> None:
    if overwrite:
        raise SettingsError('expected the mode "append", got one that overwrites: records are only ever added')


def _total(messages: Sequence[WriterCommitMessage | None]) -> TaskCounts:
    counts = [message.counts for message in messages if isinstance(message, _Committed)]
    return TaskCounts(sum(each.stored for each in counts), sum(each.rejected for each in counts))
