"""An Arrow IPC stream that is opened on the first read: until then neither the network nor pyarrow is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from privacyplease.client.errors import FaultError
from privacyplease.transport.arrow_messages import (
    CheckedStream,
    MalformedStreamError,
    Readable,
    StreamLimits,
    UnboundedStreamError,
)

if TYPE_CHECKING:
    import pyarrow as pa


# In a batch of an answer; the proxy sends at most as many as in a page of its store.
_CHUNK_BYTES = 1024 * 1024
_LIMITS = StreamLimits(batch_records=131_072)


class RecordStream:
    """Reads record batches from a file that holds one IPC stream. What the proxy sends is checked like any bytes."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._reader: pa.ipc.RecordBatchStreamReader | None = None

    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._opened().schema

    def next_batch(self) -> pa.RecordBatch | None:
        """The next batch, or None after the last."""
        with complete():
            try:
                batch = self._opened().read_next_batch()
                batch.validate(full=True)  # forged offsets would make Arrow read beyond its buffers
                return batch
            except StopIteration:
                self._await_end()
                return None

    def read_all(self) -> pa.Table:
        """All batches that have not been read yet."""
        with complete():
            table = self._opened().read_all()
            table.validate(full=True)
            self._await_end()
            return table

    def _await_end(self) -> None:
        """The answer is complete when the call ends without an error, not when Arrow has read its last byte."""
        while self._file.read(_CHUNK_BYTES):
            pass

    def _opened(self) -> pa.ipc.RecordBatchStreamReader:
        import pyarrow as pa

        if self._reader is None:
            with complete():
                self._reader = pa.ipc.open_stream(CheckedStream(self._file, _LIMITS))
        return self._reader


@contextmanager
def complete() -> Iterator[None]:
    """Raises `FaultError` if the stream cannot be read, or has no bounds. Errors of the call itself pass."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnboundedStreamError, MalformedStreamError) as error:
        raise FaultError(
            f"expected a complete Arrow stream from the proxy, got one that cannot be read: {error}"
        ) from error
