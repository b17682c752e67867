"""Admission: how many calls of each kind run at once, for how long, and which calls are refused.

Each kind of call has slots of its own, so that no kind starves another: health checks are answered, and writes are
accepted, while every slot for reads is taken. A call that finds no free slot is refused immediately; there is no queue.
A caller who may not make a call at all takes no slot (`gate`), and no identity takes them all (`slots`).

Every call is read as a stream of bytes, whatever its type. So a caller that opens a call and sends nothing is still
noticed (`arrival`), and a message that does not parse is refused with a reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple, cast

import grpc
from google.protobuf.message import DecodeError

from privacyplease.transport.arrival import Arrivals
from privacyplease.transport.deadline import Deadline, limited
from privacyplease.transport.gate import Gate
from privacyplease.transport.handlers import Behaviour, Continuation, Handler, behaviour_of
from privacyplease.transport.refusals import Refusals
from privacyplease.transport.slots import CallKind, Slots

_WATCH_INTERVAL_SECONDS = 1.0
# What an open call whose caller is out of force has to end with a reason of its own, before it is cancelled.
_REASON_SECONDS = 3.0
# Threads beyond those for admitted calls: refusing a call occupies one for about a millisecond.
_REFUSING_THREADS = 8
# A call that the gate refuses waits so long for its message, if it is one of so few: what it would have asked is
# recorded with the refusal, but refusing must not cost more than answering.
_REFUSED_SECONDS, _REFUSED_AT_ONCE = 1.0, 8


class Admission(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Admits calls until the server is stopping, and cancels those whose callers stall or are out of force."""

    def __init__(
        self,
        kinds: Sequence[CallKind],
        refusals: Refusals,
        stall_seconds: float,
        *,
        gate: Gate | None = None,
        identity_of: Callable[[grpc.ServicerContext], str | None] = lambda _: None,
        stopping: threading.Event | None = None,
    ) -> None:
        """Prepares the slots.

        Args:
            kinds: A call belongs to the first kind that lists its method; the last kind should list all.
            refusals: The errors for calls that are refused.
            stall_seconds: How long a caller may keep the server waiting, for the next message or for reading one.
            gate: Decides about a call before it takes a slot; None if no one who gets here is refused.
            identity_of: Whose call it is; None if callers cannot be told apart.
            stopping: Set by `stop`.
        """
        self._kinds = [(kind, Slots(kind)) for kind in kinds]
        self._refusals = refusals
        self._stall_seconds = stall_seconds
        self._gate = gate
        self._identity_of = identity_of
        self._arrivals = Arrivals(self.threads)
        self._refused = threading.BoundedSemaphore(_REFUSED_AT_ONCE)
        self._running: set[_Call] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.stopping = stopping or threading.Event()

    @property
    def threads(self) -> int:
        """How many threads the server needs so that no admitted call waits for one."""
        return sum(kind.slots for kind, _ in self._kinds) + _REFUSED_AT_ONCE + _REFUSING_THREADS

    def start(self) -> None:
        """Starts to watch for calls to cancel."""
        threading.Thread(target=self._watch, name="admission", daemon=True).start()

    def stop(self) -> None:
        """Stops admitting calls."""
        self.stopping.set()

    def end(self) -> None:
        """Stops watching for calls to cancel."""
        self._ended.set()
        self._arrivals.end()

    def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        """Puts admission in front of the handler."""
        handler, path = continuation(details), details.method
        slots = next((slots for kind, slots in self._kinds if path.startswith(kind.methods)), None)
        return self._guarded(_Method(path, handler, slots)) if handler and slots else None

    def _guarded(self, method: _Method) -> Handler:
        handler, behaviour = method.handler, behaviour_of(method.handler)
        guarded: Handler
        if handler.response_streaming:
            guarded = grpc.stream_stream_rpc_method_handler(
                self._streaming(method, behaviour), None, handler.response_serializer
            )
        else:
            guarded = grpc.stream_unary_rpc_method_handler(
                self._answering(method, behaviour), None, handler.response_serializer
            )
        return guarded

    def _answering(self, method: _Method, behaviour: Behaviour) -> Behaviour:
        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> object:
            with self._admitted(method, messages, context) as (request, _):
                return behaviour(request, context)

        return answer

    def _streaming(self, method: _Method, behaviour: Behaviour) -> Behaviour:
        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[object]:
            with self._admitted(method, messages, context) as (request, call):
                for response in behaviour(request, context):
                    with call.waiting():
                        yield response

        return answer

    @contextmanager
    def _admitted(
        self, method: _Method, messages: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[tuple[object, _Call]]:
        """The request of a call that may run, or the stream of them; ends the call if the block fails."""
        slots, identity = method.slots, self._identity_of(context)
        with self._refusing(context):
            if self.stopping.is_set() and not slots.kind.while_stopping:
                raise self._refusals.stopping()
            self._pass_gate(method, messages, context)
            if reached := slots.take(identity):
                raise self._refusals.overloaded(reached)
        try:
            with self._watched(context, slots.kind.seconds) as call, self._limited(context, slots.kind.seconds):
                yield self._request(method, messages, call), call
        finally:
            slots.release(identity)

    def _pass_gate(self, method: _Method, messages: Iterator[bytes], context: grpc.ServicerContext) -> None:
        if self._gate is None:
            return
        try:
            self._gate.admit(method.path, context)
        except Exception as error:
            self._gate.refused(method.path, self._refused_request(method, messages), context, error)
            raise

    def _refused_request(self, method: _Method, messages: Iterator[bytes]) -> object | None:
        """The request message of a refused call, if it arrives at once."""
        if method.handler.request_streaming or not self._refused.acquire(blocking=False):
            return None
        try:
            return self._message(method, messages, _REFUSED_SECONDS)
        except Exception:  # whatever is wrong with the message, the call is refused for another reason
            return None
        finally:
            self._refused.release()

    def _request(self, method: _Method, messages: Iterator[bytes], call: _Call) -> object:
        """The behaviour's first argument: the request message, or the stream of them."""
        if method.handler.request_streaming:
            return call.stream(self._parsed(message, method.handler) for message in messages)
        return self._message(method, messages, method.slots.kind.message_seconds)

    def _message(self, method: _Method, messages: Iterator[bytes], seconds: float) -> object:
        try:
            message = self._arrivals.first(messages, seconds)
        except TimeoutError:
            raise self._refusals.unsent(seconds) from None
        if message is None:
            raise self._refusals.malformed("expected one message, got none")
        return self._parsed(message, method.handler)

    def _parsed(self, message: bytes, handler: Handler) -> object:
        parse = cast(Callable[[bytes], object], handler.request_deserializer)
        try:
            return parse(message)
        except DecodeError as error:
            raise self._refusals.malformed("expected a message of this call's type, got other bytes") from error

    def _limited(self, context: grpc.ServicerContext, seconds: float | None) -> AbstractContextManager[None]:
        if seconds is None:
            return nullcontext()
        return limited(Deadline(context, seconds, self._refusals.deadline_exceeded))

    @contextmanager
    def _watched(self, context: grpc.ServicerContext, seconds: float | None) -> Iterator[_Call]:
        call = _Call(context, seconds)
        with self._lock:
            self._running.add(call)
        try:
            with self._refusing(context):
                yield call
        finally:
            with self._lock:
                self._running.discard(call)

    @contextmanager
    def _refusing(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Ends the call with a status if the block fails, calls of the health and reflection services included."""
        try:
            yield
        except Exception as error:  # the boundary: no error leaves unmapped
            if context.code() is None:  # type: ignore[attr-defined]  # missing from the stubs
                self._refusals.fail(error, context)
            # The call has its status. Setting it again keeps gRPC from logging the error as an unexpected one.
            context.abort(context.code(), context.details())  # type: ignore[attr-defined]

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_INTERVAL_SECONDS):
            with self._lock:
                running = list(self._running)
            for call in running:
                call.cancel_if_stalled(self._stall_seconds)
                if self._gate:
                    call.cancel_if_out_of_force(self._gate)


class _Method(NamedTuple):
    """An rpc: its path, its handler, and the slots for its kind of call."""

    path: str
    handler: Handler
    slots: Slots


class _Call:
    """A running call, since when it has been waiting for its caller, and since when its caller is out of force."""

    def __init__(self, context: grpc.ServicerContext, seconds: float | None) -> None:
        """Starts with a call that waits for nothing; `seconds` is None if its caller may stay idle."""
        self._context = context
        self._seconds = seconds
        self._waiting_since: float | None = None
        self._out_of_force_since: float | None = None

    def stream(self, messages: Iterator[object]) -> Iterator[object]:
        """The same messages; the wait for each is watched, unless the caller may stay idle."""
        return messages if self._seconds is None else self._watched(messages)

    def _watched(self, messages: Iterator[object]) -> Iterator[object]:
        while True:
            with self.waiting():
                message = next(messages, None)
            if message is None:
                return
            yield message

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For a block that waits for the caller."""
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = None

    def cancel_if_stalled(self, stall_seconds: float) -> None:
        """Cancels a call that has waited for its caller for that long, or for as long as the whole call may take."""
        since, limit = self._waiting_since, stall_seconds
        if self._seconds is not None:
            limit = min(self._seconds, limit)
        if since is not None and time.monotonic() - since > limit:
            self._context.cancel()  # type: ignore[no-untyped-call]

    def cancel_if_out_of_force(self, gate: Gate) -> None:
        """Cancels a call that is still open a while after its caller went out of force."""
        now = time.monotonic()
        if gate.in_force(self._context):
            self._out_of_force_since = None
        elif self._out_of_force_since is None:
            self._out_of_force_since = now
        elif now - self._out_of_force_since >= _REASON_SECONDS:
            self._context.cancel()  # type: ignore[no-untyped-call]
