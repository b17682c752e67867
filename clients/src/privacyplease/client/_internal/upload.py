"""Sends batches over streams that may break: the threads around a `Window`.

    source ──feeder thread──► Window ──gRPC's thread──► proxy
                                ▲                         │
    caller ◄── acknowledge ─────┘◄────── pump thread ◄────┘

The source is read in a thread, so that reading overlaps with sending, and acknowledgements reach the caller when they
come and not when the source gives its next batch.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from threading import Condition, Thread

import grpc
import pyarrow as pa

from privacyplease.client._internal.parts import Part, parts_of
from privacyplease.client._internal.patience import Patience, Retry, ended_early, for_a_minute, stalled
from privacyplease.client._internal.window import Window
from privacyplease.client.errors import PrivacyPleaseError
from privacyplease.client.ingestion import Ack
from privacyplease.proxy.v1.ingest_service_pb2 import IngestRequest, IngestResponse

_Responses = queue.SimpleQueue[IngestResponse | grpc.RpcError | None]


class Upload:
    """One ingest of many batches."""

    def __init__(
        self,
        open_stream: Callable[[Iterator[IngestRequest]], grpc.CallIterator[IngestResponse]],
        dataset: str,
        batches: Iterable[pa.Table | pa.RecordBatch],
        stall_s: float,
        retry: Retry = for_a_minute,
    ) -> None:
        self._open_stream = open_stream
        self._batches = batches
        self._stall_s = stall_s
        self._patience = Patience(retry)
        self._window = Window(dataset)
        self._changed = Condition()  # guards the window, `_abandoned` and `_call`
        self._abandoned = False
        self._call: grpc.CallIterator[IngestResponse] | None = None
        self._source_error: Exception | None = None

    def acks(self) -> Iterator[Ack]:
        """Sends everything; yields an acknowledgement for each part.

        What the source raises is raised here, once all that it gave before is acknowledged.
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
                for ack in self._stream():
                    self._patience.progress()
                    yield ack
            except (grpc.RpcError, PrivacyPleaseError) as failure:
                if not self._abandoned:
                    self._pause(self._patience.delay_after(failure))

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
            self._call = self._open_stream(self._requests(self._window.begin()))
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
            for part in parts_of(self._batches):
                if not self._admit(part):
                    break
        except Exception as error:  # whatever it is, it belongs to the caller
            self._source_error = error
        with self._changed:
            self._window.end()
            self._changed.notify_all()

    def _admit(self, part: Part) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or not self._window.full)
            if not self._abandoned:
                self._window.admit(part)
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
