"""IngestService: accepts records, and acknowledges them once they are sealed and durable."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import grpc
import pyarrow as pa

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import streaming
from privacyplease.proxy.errors import MalformedBatchError, ProxyError, StoppingError, StreamIdleError
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.records import arrow_stream, json_lines
from privacyplease.proxy.records.arrow_stream import UnboundedStreamError
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.json_lines import ParsedLines
from privacyplease.proxy.records.shapes import Shapes
from privacyplease.proxy.records.tables import CheckedBatch, check
from privacyplease.proxy.telemetry.activity import StoredBatch
from privacyplease.proxy.v1 import ingest_service_pb2 as pb
from privacyplease.proxy.v1 import ingest_service_pb2_grpc as pb_grpc
from privacyplease.proxy.write.buffer import FLUSH_RECORDS, Pending
from privacyplease.proxy.write.prefetch import prefetched
from privacyplease.proxy.write.writer import Writer

MOST_RECORDS = 65_536
MOST_BYTES = 16 * 1024 * 1024

# How many batches of a stream may be checked and in flight beyond the one being acknowledged. This bounds memory
# without slowing down a sender that waits for acknowledgements.
BATCHES_AHEAD = 4

# Called for each batch that has become durable.
BatchObserver: TypeAlias = Callable[[StoredBatch], None]


class StreamLimits(NamedTuple):
    """When the proxy ends a stream: always after every batch that was read is acknowledged.

    Attributes:
        stopping: Set when the proxy is being stopped, which ends all streams.
        idle_seconds: How long a stream may be idle before it is ended.
        require_in_force: Raises `RevokedError` if the caller's certificate or name was revoked.
    """

    stopping: threading.Event
    idle_seconds: float
    require_in_force: Callable[[grpc.ServicerContext], None]


class IngestService(pb_grpc.IngestServiceServicer):
    """Checks batches and hands them to the writer. While some are being stored, the next is checked."""

    def __init__(
        self,
        datasets: dict[str, Dataset],
        writer: Writer,
        shapes: Shapes,
        erasures: ErasureLog,
        streams: StreamLimits,
        *observers: BatchObserver,
    ) -> None:
        """Initialises the service.

        Args:
            datasets: The data sets by name.
            writer: Stores records.
            shapes: The parts of definitions that cannot change once there is data.
            erasures: The erased periods, whose records are rejected.
            streams: When streams are ended.
            observers: Called for each batch that has become durable.
        """
        self._datasets = datasets
        self._writer = writer
        self._shapes = shapes
        self._erasures = erasures
        self._stopping, self._idle_seconds, self._require_in_force = streams
        self._observers = observers

    @streaming
    def Ingest(  # noqa: N802
        self, request_iterator: Iterator[pb.IngestRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.IngestResponse]:
        """Acknowledges each batch, in order, once its good records are durable."""
        batches = _Batches(request_iterator)
        for submitted in prefetched(self._submit_all(batches), BATCHES_AHEAD, lambda: self._end(batches, context)):
            submitted.pending.wait()
            for observer in self._observers:
                observer(submitted.batch)
            yield submitted.acknowledgement

    def _end(self, batches: _Batches, context: grpc.ServicerContext) -> ProxyError | None:
        """Why a stream with no batch to process must end; None if it need not."""
        since = batches.awaited_since
        if since is None:
            return None
        if self._stopping.is_set():
            return StoppingError("the proxy is being stopped; resume after the last acknowledged batch")
        if time.monotonic() - since > self._idle_seconds:
            message = f"no batch was received for {self._idle_seconds:g} s"
            return StreamIdleError(message, seconds=f"{self._idle_seconds:g}")
        try:
            self._require_in_force(context)
        except ProxyError as error:
            return error
        return None

    def _submit_all(self, batches: _Batches) -> Iterator[_Submitted]:
        dataset: Dataset | None = None
        records = 0
        for request in batches:
            if request.dataset or dataset is None:
                dataset = requests.dataset(request.dataset, self._datasets)
                self._shapes.settle(dataset)
            submitted = self._submit(request, dataset)
            records += submitted.batch.accepted
            yield submitted
        if dataset is not None and records >= FLUSH_RECORDS:
            self._writer.flush_soon(dataset)

    def _submit(self, request: pb.IngestRequest, dataset: Dataset) -> _Submitted:
        checked = _check(request, dataset)
        with self._erasures.writing():
            records, rejections = self._erasures.reject_erased(checked, dataset)
            pending = self._writer.submit(records, dataset) if len(records) else Pending(0)
        acknowledgement = pb.IngestResponse(
            sequence=request.sequence,
            accepted=len(records),
            rejections=[pb.Rejection(row=row, field=field, reason=reason) for row, field, reason in rejections],
        )
        batch = StoredBatch(dataset.name, len(records), len(rejections))
        return _Submitted(acknowledgement, pending, batch)


class _Batches:
    """The batches of a stream.

    Attributes:
        awaited_since: When the wait for the next batch began, in seconds of the monotonic clock; None while a batch
            is being processed.
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


class _Submitted(NamedTuple):
    """A batch that was handed to the writer, and its acknowledgement once it is durable."""

    acknowledgement: pb.IngestResponse
    pending: Pending
    batch: StoredBatch


def _check(request: pb.IngestRequest, dataset: Dataset) -> CheckedBatch:
    """The batch's good records, and why the others are rejected.

    Raises:
        MalformedBatchError: The batch cannot be read, or is too large.
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
        lines = (
            json_lines.read(data, dataset, MOST_RECORDS)
            if kind == "json_lines"
            else ParsedLines(arrow_stream.read(data, MOST_RECORDS), {})
        )
    except MemoryError:  # Arrow's is an ArrowException too, but nothing is wrong with the batch
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise MalformedBatchError("expected an Arrow IPC stream", field=kind, sequence=request.sequence) from error
    except UnboundedStreamError as error:
        raise MalformedBatchError(str(error), field=kind, sequence=request.sequence) from error
    if len(lines.records) > MOST_RECORDS:
        message = f"expected at most {MOST_RECORDS:,} records, got {len(lines.records):,}"
        raise MalformedBatchError(message, field=kind, sequence=request.sequence)
    checked = check(lines.records, dataset)
    # A line that could not be read became a record of nulls, which `check` rejects: give the line's own reason instead.
    rejections = [lines.unread.get(rejection.row, rejection) for rejection in checked.rejections]
    return checked._replace(rejections=rejections)
