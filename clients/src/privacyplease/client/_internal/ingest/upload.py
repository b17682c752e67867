"""Sends batches of records over streams that may break: the threads around a `Window`.

    source ──feeder thread──► Window ──gRPC's thread──► proxy
                                ▲                         │
    caller ◄── acknowledge ─────┘◄────── pump thread ◄────┘

The source is read in a thread, so that reading overlaps with sending, and acknowledgements reach the caller when they
arrive, not when the source yields its next batch.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from threading import Condition, Thread
from typing import TypeAlias

import grpc
import pyarrow as pa

from privacyplease.client._internal.connection.delegation import Metadata
from privacyplease.client._internal.connection.proxy_channel import ProxyChannel
from privacyplease.client._internal.connection.statuses import translated
from privacyplease.client._internal.ingest.chunking import Chunk, chunks_of
from privacyplease.client._internal.ingest.retry_policy import Retry, RetryPolicy, ended_early, stalled
from privacyplease.client._internal.ingest.window import Window
from privacyplease.client.errors import PrivacyPleaseError
from privacyplease.client.ingestion import Ack
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest, IngestResponse
from privacyplease.proxy.v1.ingest_service_pb2_grpc import IngestServiceStub

Batches: TypeAlias = Iterable[pa.Table | pa.RecordBatch]
"""Records to send: tables or record batches of any size."""

_Responses = queue.SimpleQueue[IngestResponse | grpc.RpcError | None]


def upload(
    channel: ProxyChannel[grpc.Channel],
    metadata: Metadata,
    dataset: str,
    batches: Batches,
    stall_s: float,
    retry: Retry,
) -> Iterator[Ack]:
    """Sends batches over a channel; yields an acknowledgement for each chunk."""
    yield from Upload(channel, metadata, dataset, batches, stall_s, retry).acks()


class Upload:
    """One ingest of many batches.

    Args:
        channel: The channel to the proxy; each stream starts on the current one.
        metadata: Sent with each stream.
        dataset: The data set that the records belong to.
        batches: The records.
        stall_s: Seconds to wait for an acknowledgement.
        retry: Decides for how long to try again.
    """

    def __init__(
        self,
        channel: ProxyChannel[grpc.Channel],
        metadata: Metadata,
        dataset: str,
        batches: Batches,
        stall_s: float,
        retry: Retry,
    ) -> None:
        self._channel = channel
        self._metadata = metadata
        self._batches = batches
        self._stall_s = stall_s
        self._retry_policy = RetryPolicy(retry)
        self._window = Window(dataset)
        self._changed = Condition()  # guards the window, `_abandoned` and `_call`
        self._abandoned = False
        self._call: grpc.CallIterator[IngestResponse] | None = None
        self._source_error: Exception | None = None

    def acks(self) -> Iterator[Ack]:
        """Sends everything; yields an acknowledgement for each chunk.

        An error of the source is raised here, once everything it yielded before is acknowledged.
        """
        Thread(target=self._feed, name="ingest-feeder", daemon=True).start()
        try:
            yield from self._streams()
        finally:
            self.abandon()
        if self._source_error is not None:
            raise self._source_error

    def abandon(self) -> None:
        """Stops sending; `acks` ends. Any thread may call it."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            if self._call is not None:
                self._call.cancel()  # type: ignore[no-untyped-call]

    def _streams(self) -> Iterator[Ack]:
        while not self._window.drained and not self._abandoned:
            try:
                with translated(self._channel):
                    for ack in self._stream():
                        self._retry_policy.reset()
                        yield ack
            except PrivacyPleaseError as error:
                if not self._abandoned:
                    self._pause(self._retry_policy.delay_after(error))

    def _stream(self) -> Iterator[Ack]:
        responses = self._begin()
        while (response := self._receive(responses)) is not None:
            yield self._acknowledge(response)
        if not self._window.drained:
            raise ended_early()

    def _begin(self) -> _Responses:
        with self._changed:
            if self._call is not None:
                self._call.cancel()  # type: ignore[no-untyped-call]
            requests = self._requests(self._window.begin())
            self._call = IngestServiceStub(self._channel.current()).Ingest(requests, metadata=self._metadata)
        responses: _Responses = queue.SimpleQueue()
        Thread(target=_pump, args=(self._call, responses), name="ingest-pump", daemon=True).start()
        return responses

    def _requests(self, stream: int) -> Iterator[IngestRequest]:
        while (request := self._next_request(stream)) is not None:
            yield request

    def _next_request(self, stream: int) -> IngestRequest | None:
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or not self._window.must_wait(stream))
            return None if self._abandoned else self._window.next_request(stream)

    def _receive(self, responses: _Responses) -> IngestResponse | None:
        while True:
            owed = self._window.outstanding
            try:
                response = responses.get(timeout=self._stall_s)
            except queue.Empty:
                if owed:
                    raise stalled(self._stall_s) from None
                continue  # the source is slow, not the proxy
            if isinstance(response, grpc.RpcError):
                raise response
            return response

    def _acknowledge(self, response: IngestResponse) -> Ack:
        with self._changed:
            ack = self._window.acknowledge(response)
            self._changed.notify_all()
            return ack

    def _feed(self) -> None:
        try:
            for chunk in chunks_of(self._batches):
                if not self._add(chunk):
                    break
        except Exception as error:  # any error of the source is raised to the caller
            self._source_error = error
        with self._changed:
            self._window.end()
            self._changed.notify_all()

    def _add(self, chunk: Chunk) -> bool:
        """Adds a chunk once there is room; False if the upload is abandoned."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or not self._window.full)
            if not self._abandoned:
                self._window.add(chunk)
                self._changed.notify_all()
            return not self._abandoned

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned, timeout=seconds)


def _pump(call: grpc.CallIterator[IngestResponse], responses: _Responses) -> None:
    try:
        for response in call:
            responses.put(response)
    except grpc.RpcError as failure:
        responses.put(failure)
    else:
        responses.put(None)
