"""Reports the calls that the proxy makes to the storage server: how long each took, and what was stored."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import grpc
from google.protobuf.message import Message

from privacyplease.storage.v1 import storage_service_pb2 as pb


class StorageObserver(Protocol):
    """What is notified of the calls, such as metrics."""

    def stored(self, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Records that a call has ended."""

    def appended(self, cells: int, size: int) -> None:
        """Records that cells were stored; `size` is in bytes of ciphertext."""


# Both a `grpc.Call` and a `grpc.Future`; the stubs have no name for that.
_Call: TypeAlias = Any
_Continuation: TypeAlias = Callable[[grpc.ClientCallDetails, Message], _Call]


def observed(channel: grpc.Channel, observer: StorageObserver | None) -> grpc.Channel:
    """The channel, with its calls reported to the observer, if there is one."""
    return grpc.intercept_channel(channel, _ObservedCalls(observer)) if observer else channel


class _ObservedCalls(
    grpc.UnaryUnaryClientInterceptor,  # type: ignore[type-arg]  # generic only in the stubs
    grpc.UnaryStreamClientInterceptor,  # type: ignore[type-arg]
):
    """Observes a channel to the storage server. A stream ends when it has been read to its end, or cancelled."""

    def __init__(self, observer: StorageObserver) -> None:
        self._observer = observer

    def intercept_unary_unary(
        self, continuation: _Continuation, client_call_details: grpc.ClientCallDetails, request: Message
    ) -> _Call:
        """Observes a call with one response."""
        return self._observe(continuation, client_call_details, request)

    def intercept_unary_stream(
        self, continuation: _Continuation, client_call_details: grpc.ClientCallDetails, request: Message
    ) -> _Call:
        """Observes a call with a stream of responses."""
        return self._observe(continuation, client_call_details, request)

    def _observe(self, continuation: _Continuation, details: grpc.ClientCallDetails, request: Message) -> _Call:
        began, method = time.perf_counter(), details.method.rpartition("/")[2]
        call = continuation(details, request)

        def ended(_: object) -> None:
            self._observer.stored(method, call.code(), time.perf_counter() - began)
            if isinstance(request, pb.AppendRequest) and call.code() is grpc.StatusCode.OK:
                self._observer.appended(len(request.cells), sum(len(cell.sealed) for cell in request.cells))

        call.add_done_callback(ended)
        return call
