"""What became of each call, told once, when it ends, to whoever counts it or writes it down.

Only calls of this server's own service are told of: health checks and reflection are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple, TypeAlias, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

from privacyplease.server.identity import rewrapped
from privacyplease.storage.v1 import storage_service_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"]

METHODS: Mapping[str, str] = {f"/{_SERVICE.full_name}/{method.name}": method.name for method in _SERVICE.methods}
"""The name of each rpc by its path. Whatever else a caller may name is not told of: names are labels and log fields."""

_DETAILS = "grpc-status-details-bin"
_ATTEMPTS = "grpc-previous-rpc-attempts"

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Call(NamedTuple):
    """A call that has ended.

    Attributes:
        method: its name, one of `METHODS`.
        code: how it ended; CANCELLED if the caller left or its time was over.
        reason: why it was refused, a name of `ErrorReason`; "" if it was not.
        seconds: how long it took; of a stream, until its last page was taken.
        retried: whether the caller has tried it before.
    """

    method: str
    code: grpc.StatusCode
    reason: str
    seconds: float
    retried: bool


Observer: TypeAlias = Callable[[Call], None]


class Observed(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Tells of every call. It stands before all other interceptors, so that it sees what they refuse."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Watches whatever would answer."""
        handler = continuation(details)
        method = METHODS.get(details.method)
        if handler is None or method is None:
            return handler
        watch = self._stream if handler.response_streaming else self._answer
        return rewrapped(handler, lambda behaviour: watch(behaviour, method))

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
        try:
            yield
            code = grpc.StatusCode.OK
        except GeneratorExit:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            seconds = time.perf_counter() - began
            call = Call(method, _code(context, code), _reason(context), seconds, _was_retried(context))
            for observer in self._observers:
                observer(call)


def _code(context: grpc.ServicerContext, otherwise: grpc.StatusCode) -> grpc.StatusCode:
    if not context.is_active():
        return grpc.StatusCode.CANCELLED
    code: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined]  # the stubs say less
    return code or otherwise


def _reason(context: grpc.ServicerContext) -> str:
    """The reason in the status that the call was ended with."""
    for name, value in cast("tuple[tuple[str, bytes], ...]", context.trailing_metadata()) or ():
        if name == _DETAILS:
            info = error_details_pb2.ErrorInfo()
            details = status_pb2.Status.FromString(value).details
            return next((str(info.reason) for detail in details if detail.Unpack(info)), "")
    return ""


def _was_retried(context: grpc.ServicerContext) -> bool:
    return any(name == _ATTEMPTS for name, _ in context.invocation_metadata())
