"""Cuts batches of records into chunks that each fit into one message of the contract."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest

# The limits of `IngestRequest.arrow`.
MAX_ROWS = 65_536
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one batch, as many as fit into one message.

    Attributes:
        batch: The batch's number, from 0.
        first_row: The number of the first row within the batch, from 0.
        rows: How many rows.
        complete: Whether this is the batch's last chunk.
        arrow: The rows as an Arrow IPC stream.
    """

    batch: int
    first_row: int
    rows: int
    complete: bool
    arrow: bytes

    def request(self, dataset: str, sequence: int) -> IngestRequest:
        """The message that carries the chunk."""
        return IngestRequest(dataset=dataset, sequence=sequence, arrow=self.arrow)


def chunks_of(batches: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[Chunk]:
    """Cuts each batch, in order. A batch without rows has no chunk.

    Raises:
        ValueError: A single record is larger than a message may be.
    """
    for number, batch in enumerate(batches):
        yield from cut(batch, number)


def cut(batch: pa.Table | pa.RecordBatch, number: int) -> Iterator[Chunk]:
    """Cuts one batch; `number` is its position in the ingest, from 0."""
    table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
    first = 0
    while first < table.num_rows:
        rows, arrow = _fitting(table.slice(first, MAX_ROWS))
        yield Chunk(number, first, rows, complete=first + rows == table.num_rows, arrow=arrow)
        first += rows


def _fitting(table: pa.Table) -> tuple[int, bytes]:
    """As many of the first rows as fit into one message, and their encoding: halves the rows until they do."""
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
