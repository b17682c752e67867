"""Cuts batches of records into messages that the proxy takes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest

# The limits of `IngestRequest.arrow`.
MAX_ROWS = 65_536
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one batch, as large as fits into one message.

    Attributes:
        batch: Which batch, counted from 0.
        first_row: Which of its rows comes first, counted from 0.
        rows: How many rows.
        complete: Whether the batch ends with this part.
        arrow: The rows as an Arrow IPC stream.
    """

    batch: int
    first_row: int
    rows: int
    complete: bool
    arrow: bytes

    def request(self, dataset: str, sequence: int) -> IngestRequest:
        """The part as the message that carries it."""
        return IngestRequest(dataset=dataset, sequence=sequence, arrow=self.arrow)


def parts_of(batches: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[Part]:
    """Cuts each batch, in order. A batch without rows has no part.

    Raises:
        ValueError: A single record is larger than a message may be.
    """
    for number, batch in enumerate(batches):
        yield from cut(batch, number)


def cut(batch: pa.Table | pa.RecordBatch, number: int) -> Iterator[Part]:
    """Cuts one batch, the `number`-th."""
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    first = 0
    while first < table.num_rows:
        rows, arrow = _fitting(table.slice(first, MAX_ROWS))
        yield Part(number, first, rows, complete=first + rows == table.num_rows, arrow=arrow)
        first += rows


def _fitting(table: pa.Table) -> tuple[int, bytes]:
    """As many of the first rows as fit, halving until they do."""
    arrow = _encoded(table)
    while len(arrow) > MAX_BYTES:
        if table.num_rows == 1:
            raise ValueError(f"expected records of at most {MAX_BYTES:,} bytes, got one of {len(arrow):,}")
        table = table.slice(0, table.num_rows // 2)
        arrow = _encoded(table)
    return table.num_rows, arrow


def _encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded
