"""What becomes of each call: told once, when it ends, to whoever counts it or writes it down.

Only calls of the proxy's own services are told of: health checks and reflection are not.

While a call runs its thread knows it, so that what is fetched for a question is counted where it is fetched
(`fetched`), and a line of the log says during which call it was written (`running`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, TypeAlias, cast

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2, status_pb2

from privacyplease.proxy.edge.authentication import rewrapped
from privacyplease.proxy.edge.identity import client_of

_DETAILS = "grpc-status-details-bin"

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(slots=True)
class Running:
    """A call that runs.

    Attributes:
        method: The rpc, as "PresenceService/FindSessions".
        client: Who calls; "" in plaintext.
        cells: Cells fetched for it so far.
        bytes: Their ciphertext.
    """

    method: str
    client: str
    cells: int = 0
    bytes: int = 0


class Call(NamedTuple):
    """A call that has ended.

    Attributes:
        method: The rpc, as "PresenceService/FindSessions".
        client: Who called; "" in plaintext.
        code: How it ended; CANCELLED if the caller left or its time was over.
        reason: Why it was refused, a name of `ErrorReason`; "" if it was not.
        error_id: What the client was told to find a fault of the proxy in its log by; "" if there was none.
        seconds: How long it took; of a stream, until its last message was taken.
        cells: Cells fetched for it.
        bytes: Their ciphertext.
    """

    method: str
    client: str
    code: grpc.StatusCode
    reason: str
    error_id: str
    seconds: float
    cells: int
    bytes: int

    @property
    def failed(self) -> bool:
        """Whether it was refused, or failed, rather than given up by its caller."""
        return self.code not in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED)


Observer: TypeAlias = Callable[[Call], None]

_running: ContextVar[Running | None] = ContextVar("running", default=None)


def running() -> Running | None:
    """The call that this thread is answering."""
    return _running.get()


def fetched(cells: int, size: int) -> None:
    """Counts cells, and their bytes, that are fetched for the call that this thread is answering, if it is."""
    if call := _running.get():
        call.cells += cells
        call.bytes += size


def methods(contracts: Sequence[FileDescriptor]) -> Mapping[str, str]:
    """The name of each rpc by its path. Whatever else a caller may name is not told of: names become labels."""
    services = (service for contract in contracts for service in contract.services_by_name.values())
    return {f"/{s.full_name}/{method.name}": f"{s.name}/{method.name}" for s in services for method in s.methods}


class Observed(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Tells of every call. It stands before all other interceptors, so that it sees what they refuse."""

    def __init__(self, known: Mapping[str, str], *observers: Observer) -> None:
        """Takes the rpcs to tell of (`methods`), and whom to tell."""
        self._known = known
        self._observers = observers
        self._handlers: dict[str, _Handler] = {}

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Watches whatever would answer. What that is depends on the method alone, so it is put together once."""
        method = self._known.get(details.method)
        if method is None:
            return continuation(details)
        if method not in self._handlers and (handler := continuation(details)):
            watch = self._stream if handler.response_streaming else self._answer
            self._handlers[method] = rewrapped(handler, lambda behaviour: watch(behaviour, method))
        return self._handlers.get(method)

    def _answer(self, behaviour: _Behaviour, method: str) -> _Behaviour:
        @wraps(behaviour)
        def observed(request: object, context: grpc.ServicerContext) -> object:
            with self._observing(method, context):
                return behaviour(request, context)

        return observed

    def _stream(self, behaviour: _Behaviour, method: str) -> _Behaviour:
        @wraps(behaviour)
        def observed(request: object, context: grpc.ServicerContext) -> Iterator[object]:
            with self._observing(method, context):
                yield from behaviour(request, context)

        return observed

    @contextmanager
    def _observing(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        began, code = time.perf_counter(), grpc.StatusCode.UNKNOWN
        call = Running(method, client_of(context) or "")
        _running.set(call)
        try:
            yield
            code = grpc.StatusCode.OK
        except GeneratorExit:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            _running.set(None)
            self._tell(call, context, code, time.perf_counter() - began)

    def _tell(self, call: Running, context: grpc.ServicerContext, code: grpc.StatusCode, seconds: float) -> None:
        reason, error_id = _details(context)
        ended = Call(call.method, call.client, _code(context, code), reason, error_id, seconds, call.cells, call.bytes)
        for observer in self._observers:
            observer(ended)


def _code(context: grpc.ServicerContext, otherwise: grpc.StatusCode) -> grpc.StatusCode:
    if not context.is_active():
        return grpc.StatusCode.CANCELLED
    code: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined]  # the stubs say less
    return code or otherwise


def _details(context: grpc.ServicerContext) -> tuple[str, str]:
    """Reason and id in the status that the call was ended with."""
    for name, value in cast("tuple[tuple[str, bytes], ...]", context.trailing_metadata()) or ():
        if name == _DETAILS:
            info = error_details_pb2.ErrorInfo()
            if any(detail.Unpack(info) for detail in status_pb2.Status.FromString(value).details):
                return str(info.reason), str(info.metadata.get("id", ""))
    return "", ""
