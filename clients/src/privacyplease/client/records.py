"""Whole records, as Arrow record batches that come in while the proxy still reads.

>>> import pyarrow as pa
>>> sink = pa.BufferOutputStream()
>>> with pa.ipc.new_stream(sink, pa.schema({"mac": pa.string()})) as stream:
...     stream.write_batch(pa.record_batch({"mac": ["02:00:00:00:00:01", "02:00:00:00:00:02"]}))
>>> pages = iter([sink.getvalue().to_pybytes()])
>>> for batch in Records(pages):
...     print(batch.num_rows, batch.schema.names)
2 ['mac']
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import TYPE_CHECKING

from privacyplease.client._internal.page_file import page_file
from privacyplease.client._internal.record_stream import RecordStream

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Records:
    """The records that a query found, ascending by (start, subject, place). They can be read once.

    Nothing is read ahead: whoever reads slowly slows the proxy down, and the client's timeout runs meanwhile. Every
    method raises what the query raises, an error in the middle of the answer included.
    """

    def __init__(self, pages: Iterator[bytes]) -> None:
        self._stream = RecordStream(page_file(partial(next, pages, None)))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._stream.next_batch()) is not None:
            yield batch

    def schema(self) -> pa.Schema:
        """Names and types of the columns; known even if no record was found."""
        return self._stream.schema()

    def to_arrow(self) -> pa.Table:
        """All records that were not read yet, in memory."""
        return self._stream.read_all()

    def to_pandas(self) -> pd.DataFrame:
        """As `to_arrow`, as a pandas frame. Needs the extra `privacyplease[pandas]`."""
        frame: pd.DataFrame = self.to_arrow().to_pandas()
        return frame


class AsyncRecords:
    """As `Records`, for `async for`. Arrow is decoded in a thread, so that the event loop stays free."""

    def __init__(self, pages: AsyncIterator[bytes]) -> None:
        self._pages = pages
        self._loop = asyncio.get_running_loop()
        self._stream = RecordStream(page_file(self._next_page))

    async def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        while (batch := await asyncio.to_thread(self._stream.next_batch)) is not None:
            yield batch

    async def schema(self) -> pa.Schema:
        """As `Records.schema`."""
        return await asyncio.to_thread(self._stream.schema)

    async def to_arrow(self) -> pa.Table:
        """As `Records.to_arrow`."""
        return await asyncio.to_thread(self._stream.read_all)

    async def to_pandas(self) -> pd.DataFrame:
        """As `Records.to_pandas`."""
        frame: pd.DataFrame = (await self.to_arrow()).to_pandas()
        return frame

    def _next_page(self) -> bytes | None:
        """Called in the decoding thread: the page itself is awaited where the channel lives."""
        return asyncio.run_coroutine_threadsafe(self._anext_page(), self._loop).result()

    async def _anext_page(self) -> bytes | None:
        return await anext(self._pages, None)
