"""Whole records, as Arrow record batches that arrive while the proxy is still reading.

>>> import pyarrow as pa
>>> sink = pa.BufferOutputStream()
>>> with pa.ipc.new_stream(sink, pa.schema({"mac": pa.string()})) as stream:
...     stream.write_batch(pa.record_batch({"mac": ["02:00:00:00:00:01", "02:00:00:00:00:02"]}))
>>> records = Records(iter([RecordPage(sink.getvalue().to_pybytes(), records=2)]))
>>> done = 0
>>> for batch in records:
...     done += batch.num_rows
...     print(f"{done} of {records.total()}")
2 of 2
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, NamedTuple

from privacyplease.client._internal.tables.page_file import page_file
from privacyplease.client._internal.tables.record_stream import RecordStream
from privacyplease.client._internal.tables.tabular import Tabular

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class RecordPage(NamedTuple):
    """The next bytes of an answer; the first page also has the number of its records."""

    arrow: bytes
    records: int = 0


class Records(Tabular):
    """The records that a query found, ascending by (start, subject, place). They can be read only once.

    Nothing is read ahead: a slow reader slows the proxy down, and the client's timeout keeps running. Every method
    raises the errors of the query, including those in the middle of the answer.
    """

    def __init__(self, pages: Iterator[RecordPage]) -> None:
        self._pages = pages
        self._total = 0
        self._stream = RecordStream(page_file(self._next_page))

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._stream.next_batch()) is not None:
            yield batch

    def schema(self) -> pa.Schema:
        """Names and types of the columns; known even if there are no records."""
        return self._stream.schema()

    def total(self) -> int:
        """How many records were found, read or not; known from the first page on, to show progress."""
        self._stream.schema()
        return self._total

    def to_arrow(self) -> pa.Table:
        """All records that have not been read yet, in memory."""
        return self._stream.read_all()

    def _next_page(self) -> bytes | None:
        page = next(self._pages, None)
        if page is None:
            return None
        self._total = page.records or self._total
        return page.arrow


class AsyncRecords:
    """As `Records`, for `async for`. Arrow is decoded in a thread, so that the event loop is not blocked."""

    def __init__(self, pages: AsyncIterator[RecordPage]) -> None:
        self._pages = pages
        self._total = 0
        self._loop = asyncio.get_running_loop()
        self._stream = RecordStream(page_file(self._next_page))

    async def __aiter__(self) -> AsyncIterator[pa.RecordBatch]:
        while (batch := await asyncio.to_thread(self._stream.next_batch)) is not None:
            yield batch

    async def schema(self) -> pa.Schema:
        """As `Records.schema`."""
        return await asyncio.to_thread(self._stream.schema)

    async def total(self) -> int:
        """As `Records.total`."""
        await self.schema()
        return self._total

    async def to_arrow(self) -> pa.Table:
        """As `Records.to_arrow`."""
        return await asyncio.to_thread(self._stream.read_all)

    async def to_pandas(self) -> pd.DataFrame:
        """As `Records.to_pandas`."""
        frame: pd.DataFrame = (await self.to_arrow()).to_pandas()
        return frame

    async def to_polars(self) -> pl.DataFrame:
        """As `Records.to_polars`."""
        import polars as pl

        return pl.DataFrame(await self.to_arrow())

    def _next_page(self) -> bytes | None:
        """Called in the decoding thread: the page itself is awaited in the event loop of the channel."""
        return asyncio.run_coroutine_threadsafe(self._await_page(), self._loop).result()

    async def _await_page(self) -> bytes | None:
        page = await anext(self._pages, None)
        if page is None:
            return None
        self._total = page.records or self._total
        return page.arrow
