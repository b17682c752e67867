"""An Arrow IPC stream that is opened on the first read: until then neither the network nor pyarrow is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import TYPE_CHECKING

from privacyplease.client.errors import FaultError

if TYPE_CHECKING:
    import pyarrow as pa


class RecordStream:
    """Reads record batches from a file that holds one IPC stream."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._reader: pa.ipc.RecordBatchStreamReader | None = None

    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._opened().schema

    def next_batch(self) -> pa.RecordBatch | None:
        """The next batch, or None after the last."""
        with complete():
            try:
                return self._opened().read_next_batch()
            except StopIteration:
                self._await_end()
                return None

    def read_all(self) -> pa.Table:
        """All batches that have not been read yet."""
        with complete():
            table = self._opened().read_all()
            self._await_end()
            return table

    def _await_end(self) -> None:
        """The answer is complete when the call ends without an error, not when Arrow has read its last byte."""
        self._file.read()

    def _opened(self) -> pa.ipc.RecordBatchStreamReader:
        import pyarrow as pa

        if self._reader is None:
            with complete():
                self._reader = pa.ipc.open_stream(self._file)
        return self._reader


@contextmanager
def complete() -> Iterator[None]:
    """Raises `FaultError` if pyarrow cannot read the stream. Errors of the call itself pass."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise FaultError(
            f"expected a complete Arrow stream from the proxy, got one that cannot be read: {error}"
        ) from error
