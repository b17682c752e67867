"""The call log: each call is reported once, when it ends, to observers that count it or write it down.

Only calls of the server's own services are reported, not health checks and reflection.

While a call runs, the thread that answers it knows it (`running`): what is fetched for the call is counted where it is
fetched (`count_fetched`), and each line of the log names the call that it was written in (`log_format`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import NamedTuple, TypeAlias, cast

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.rpc import error_details_pb2, status_pb2

from privacyplease.transport.handlers import Behaviour, Continuation, Handler, wrapped

CALL_FIELDS = ("rpc", "client", "code", "reason", "error_id", "duration_ms")
"""The fields of a log line that describe a call, in this order."""

SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Bounds of the buckets in histograms of how long calls took."""

_STATUS_DETAILS = "grpc-status-details-bin"
_PREVIOUS_ATTEMPTS = "grpc-previous-rpc-attempts"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunningCall:
    """A call that is being answered.

    Attributes:
        method: The rpc, as the log and the metrics name it.
        client: Who calls; "" if the server does not tell callers apart, and in plaintext.
        cells: Cells fetched for it so far.
        bytes: Their ciphertext.
    """

    method: str
    client: str
    cells: int = 0
    bytes: int = 0


class FinishedCall(NamedTuple):
    """A call that has ended.

    Attributes:
        method: The rpc, as the log and the metrics name it.
        client: Who called; "" if the server does not tell callers apart, and in plaintext.
        code: How it ended; CANCELLED if the caller left or ran out of time.
        reason: Why it was refused or failed, a name of `ErrorReason`; "" if it was not.
        error_id: The id under which a fault of the server is in its log; "" if there was none.
        seconds: How long it took; of a stream, until its last message was taken.
        retried: Whether the caller had tried it before.
        cells: Cells fetched for it.
        bytes: Their ciphertext.
    """

    method: str
    client: str
    code: grpc.StatusCode
    reason: str
    error_id: str
    seconds: float
    retried: bool
    cells: int
    bytes: int

    @property
    def failed(self) -> bool:
        """Whether it was refused or failed, rather than cancelled by its caller."""
        return self.code not in (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED)


Observer: TypeAlias = Callable[[FinishedCall], None]

_running: ContextVar[RunningCall | None] = ContextVar("running", default=None)


def running() -> RunningCall | None:
    """The call that this thread is answering; None outside of calls."""
    return _running.get()


def count_fetched(cells: int, size: int) -> None:
    """Adds cells, and their bytes, to what was fetched for the call that this thread is answering, if there is one."""
    if call := _running.get():
        call.cells += cells
        call.bytes += size


def log_failure(call: FinishedCall) -> None:
    """An observer: logs a call that was refused or failed. Successful calls leave no line; metrics count them."""
    if call.failed:
        fields = call.method, call.client, call.code.name, call.reason, call.error_id, round(call.seconds * 1_000, 1)
        _log.warning("call refused", extra=dict(zip(CALL_FIELDS, fields, strict=True)))


def methods(contracts: Iterable[FileDescriptor]) -> Mapping[str, str]:
    """The name of each rpc of these contracts, as "PresenceService/FindSessions", by its path."""
    services = (service for contract in contracts for service in contract.services_by_name.values())
    return {f"/{s.full_name}/{method.name}": f"{s.name}/{method.name}" for s in services for method in s.methods}


class CallLog(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Reports every call. It is the outermost interceptor, so that it sees what the others refuse."""

    def __init__(
        self,
        methods: Mapping[str, str],
        *observers: Observer,
        client_of: Callable[[grpc.ServicerContext], str | None] | None = None,
    ) -> None:
        """Reports calls to observers.

        Args:
            methods: The name of each rpc by its path. Other calls are not reported: names become labels of metrics.
            observers: What every call is reported to, in the thread that answered it.
            client_of: Names a call's client, as TLS proved it; None if the server does not tell callers apart.
        """
        self._methods = methods
        self._observers = observers
        self._client_of = client_of
        self._handlers: dict[str, Handler] = {}

    def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        """Wraps the handler, once for each method: what the other interceptors put there depends on nothing else."""
        method = self._methods.get(details.method)
        if method is None:
            return continuation(details)
        if method not in self._handlers and (handler := continuation(details)):
            observed = self._stream if handler.response_streaming else self._answer
            self._handlers[method] = wrapped(handler, lambda behaviour: observed(behaviour, method))
        return self._handlers.get(method)

    def _answer(self, behaviour: Behaviour, method: str) -> Behaviour:
        @wraps(behaviour)
        def answer(request: object, context: grpc.ServicerContext) -> object:
            with self._observing(method, context):
                return behaviour(request, context)

        return answer

    def _stream(self, behaviour: Behaviour, method: str) -> Behaviour:
        @wraps(behaviour)
        def answer(request: object, context: grpc.ServicerContext) -> Iterator[object]:
            with self._observing(method, context):
                yield from behaviour(request, context)

        return answer

    @contextmanager
    def _observing(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        began, code = time.perf_counter(), grpc.StatusCode.UNKNOWN
        client = self._client_of(context) if self._client_of else None
        call = RunningCall(method, client or "")
        _running.set(call)
        try:
            yield
            code = grpc.StatusCode.OK
        except GeneratorExit:
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            _running.set(None)
            self._report(call, context, code, time.perf_counter() - began)

    def _report(self, call: RunningCall, context: grpc.ServicerContext, code: grpc.StatusCode, seconds: float) -> None:
        reason, error_id = _reason_and_id(context)
        code, retried = _final_code(context, code), _was_retried(context)
        finished = FinishedCall(
            call.method, call.client, code, reason, error_id, seconds, retried, call.cells, call.bytes
        )
        for observer in self._observers:
            observer(finished)


def _final_code(context: grpc.ServicerContext, unless_set: grpc.StatusCode) -> grpc.StatusCode:
    if not context.is_active():
        return grpc.StatusCode.CANCELLED
    code: grpc.StatusCode | None = context.code()  # type: ignore[attr-defined]  # missing from the stubs
    return code or unless_set


def _reason_and_id(context: grpc.ServicerContext) -> tuple[str, str]:
    """What the status that ended the call says of the error."""
    for name, value in cast("tuple[tuple[str, bytes], ...]", context.trailing_metadata()) or ():
        if name == _STATUS_DETAILS:
            info = error_details_pb2.ErrorInfo()
            if any(detail.Unpack(info) for detail in status_pb2.Status.FromString(value).details):
                return str(info.reason), str(info.metadata.get("id", ""))
    return "", ""


def _was_retried(context: grpc.ServicerContext) -> bool:
    return any(name == _PREVIOUS_ATTEMPTS for name, _ in context.invocation_metadata())
