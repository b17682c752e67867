"""IngestService: records in, sealed and durable before they are acknowledged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import grpc
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.errors import MalformedBatchError, StoppingError, StreamIdleError, TryLaterError
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.records import json_lines
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.json_lines import Lines
from privacyplease.proxy.records.shapes import Shapes
from privacyplease.proxy.records.tables import Checked, check
from privacyplease.proxy.telemetry.activity import Batch
from privacyplease.proxy.v1 import ingest_service_pb2 as pb
from privacyplease.proxy.v1 import ingest_service_pb2_grpc as pb_grpc
from privacyplease.proxy.write.buffer import FLUSH_RECORDS, Pending
from privacyplease.proxy.write.prefetch import prefetched
from privacyplease.proxy.write.writer import Writer

MOST_RECORDS = 65_536
MOST_BYTES = 16 * 1024 * 1024

# Batches of one stream that are checked and on their way, beyond the one being acknowledged. It bounds memory, and a
# sender that waits for acknowledgements before it goes on is not held up.
BATCHES_AHEAD = 4

# Is told of each batch that is now durable.
BatchObserver: TypeAlias = Callable[[Batch], None]


class Streams(NamedTuple):
    """When the proxy ends a stream.

    Attributes:
        stopping: Once it is set, streams end as soon as every batch that was read is acknowledged.
        idle_seconds: So do streams on which nothing comes for so long.
    """

    stopping: threading.Event
    idle_seconds: float


class IngestService(pb_grpc.IngestServiceServicer):
    """Checks batches and hands them to the writer. While some are being stored the next is checked."""

    def __init__(
        self,
        datasets: dict[str, Dataset],
        writer: Writer,
        shapes: Shapes,
        erasures: ErasureLog,
        streams: Streams,
        *observers: BatchObserver,
    ) -> None:
        """Takes what it works with.

        Args:
            datasets: The data sets.
            writer: Stores.
            shapes: What cannot change once there is data.
            erasures: Knows what was erased.
            streams: When they end.
            observers: Are told of each batch.
        """
        self._datasets = datasets
        self._writer = writer
        self._shapes = shapes
        self._erasures = erasures
        self._stopping, self._idle_seconds = streams
        self._observers = observers

    @streaming
    def Ingest(  # noqa: N802
        self, request_iterator: Iterator[pb.IngestRequest], _context: grpc.ServicerContext
    ) -> Iterator[pb.IngestResponse]:
        """See the contract."""
        batches = _Batches(request_iterator)
        for taken in prefetched(self._take_all(batches), BATCHES_AHEAD, lambda: self._end(batches)):
            taken.pending.wait()
            for observer in self._observers:
                observer(taken.batch)
            yield taken.acknowledgement

    def _end(self, batches: _Batches) -> TryLaterError | None:
        """Why a stream on which nothing comes is to end; None as long as it is not."""
        since = batches.awaited_since
        if since is None:
            return None
        if self._stopping.is_set():
            return StoppingError("the proxy is being stopped; go on after the last acknowledgement")
        if time.monotonic() - since > self._idle_seconds:
            return StreamIdleError(f"nothing came for {self._idle_seconds:g} s", seconds=f"{self._idle_seconds:g}")
        return None

    def _take_all(self, batches: _Batches) -> Iterator[_Taken]:
        dataset: Dataset | None = None
        records = 0
        for request in batches:
            if request.dataset or dataset is None:
                dataset = requests.dataset(request.dataset, self._datasets)
                self._shapes.settle(dataset)
            taken = self._take(request, dataset)
            records += taken.batch.accepted
            yield taken
        if dataset is not None and records >= FLUSH_RECORDS:
            self._writer.flush_soon(dataset)

    def _take(self, request: pb.IngestRequest, dataset: Dataset) -> _Taken:
        checked = _check(request, dataset)
        with self._erasures.writing():
            records, rejections = self._erasures.reject_erased(checked, dataset)
            pending = self._writer.submit(records, dataset) if len(records) else Pending(0)
        acknowledgement = pb.IngestResponse(
            sequence=request.sequence,
            accepted=len(records),
            rejections=[pb.Rejection(row=row, field=field, reason=reason) for row, field, reason in rejections],
        )
        batch = Batch(dataset.name, len(records), len(rejections), _newest(records, dataset))
        return _Taken(acknowledgement, pending, batch)


class _Batches:
    """The batches of a stream.

    Attributes:
        awaited_since: Since when the next one is waited for, in seconds of the monotonic clock; None while one is
            being taken.
    """

    def __init__(self, requests: Iterator[pb.IngestRequest]) -> None:
        self._requests = requests
        self.awaited_since: float | None = None

    def __iter__(self) -> Iterator[pb.IngestRequest]:
        return self

    def __next__(self) -> pb.IngestRequest:
        self.awaited_since = time.monotonic()
        request = next(self._requests)
        self.awaited_since = None
        return request


class _Taken(NamedTuple):
    """A batch that is on its way, and what to say once they are durable."""

    acknowledgement: pb.IngestResponse
    pending: Pending
    batch: Batch


def _newest(records: pa.Table, dataset: Dataset) -> int | None:
    """When the last of the records ends, in ms since the epoch."""
    ends = pc.add(records[dataset.start], records[dataset.duration])
    newest: int | None = pc.max(ends.cast(pa.int64())).as_py()
    return newest


def _check(request: pb.IngestRequest, dataset: Dataset) -> Checked:
    """The batch's good records and its bad ones.

    Raises:
        MalformedBatchError: It cannot be read, or is too large.
    """
    kind = request.WhichOneof("records")
    if kind is None:
        raise MalformedBatchError(
            "expected arrow or json_lines, got neither", field="records", sequence=request.sequence
        )
    data = request.arrow if kind == "arrow" else request.json_lines.encode()
    if len(data) > MOST_BYTES:
        message = f"expected at most {MOST_BYTES:,} bytes, got {len(data):,}"
        raise MalformedBatchError(message, field=kind, sequence=request.sequence)
    try:
        lines = json_lines.read(data, dataset, MOST_RECORDS) if kind == "json_lines" else Lines(_read_arrow(data), {})
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise MalformedBatchError("expected an Arrow IPC stream", field=kind, sequence=request.sequence) from error
    if len(lines.records) > MOST_RECORDS:
        message = f"expected at most {MOST_RECORDS:,} records, got {len(lines.records):,}"
        raise MalformedBatchError(message, field=kind, sequence=request.sequence)
    checked = check(lines.records, dataset)
    # A record of nulls is turned away, too; for what was wrong with its line.
    return checked._replace(rejections=[lines.unread.get(each.row, each) for each in checked.rejections])


def _read_arrow(data: bytes) -> pa.Table:
    with pa.ipc.open_stream(data) as reader:
        batch = reader.read_all()
    batch.validate(full=True)  # a batch that lies about its offsets would make Arrow read beyond its buffers
    return batch
