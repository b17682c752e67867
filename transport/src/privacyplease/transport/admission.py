"""Admission: how many calls of each kind run at once, for how long, and which calls are refused.

Each kind of call has slots of its own, so that no kind starves another: health checks are answered, and writes are
accepted, while every slot for reads is taken. A call that finds no free slot is refused immediately; there is no queue.

Every call is read as a stream of bytes, whatever its type. So a caller that opens a call and sends nothing is still
watched, and a message that does not parse is refused with a reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import grpc
from google.protobuf.message import DecodeError

from privacyplease.transport.deadline import Deadline, limited
from privacyplease.transport.handlers import Behaviour, Continuation, Handler, behaviour_of
from privacyplease.transport.refusals import Refusals

_WATCH_INTERVAL_SECONDS = 1.0
# Threads beyond those for admitted calls: refusing a call occupies one for about a millisecond.
_REFUSING_THREADS = 8


class CallKind(NamedTuple):
    """Calls that share slots.

    Attributes:
        name: How error messages name the slots.
        methods: Prefixes of the paths of its methods.
        slots: How many run at the same time.
        seconds: How long one may take; None for streams that stay open as long as both ends want.
        while_stopping: Whether calls are still admitted while the server shuts down.
    """

    name: str
    methods: tuple[str, ...]
    slots: int
    seconds: float | None
    while_stopping: bool = False


class Admission(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Admits calls, cancels those whose callers stall, and admits no more once the server is stopping."""

    def __init__(self, kinds: Sequence[CallKind], refusals: Refusals, stall_seconds: float) -> None:
        """Prepares the slots.

        Args:
            kinds: A call belongs to the first kind that lists its method; the last kind should list all.
            refusals: The errors for calls that are refused.
            stall_seconds: How long a caller may keep the server waiting, for the next message or for reading one.
        """
        self._kinds = [(kind, _Slots(kind, refusals)) for kind in kinds]
        self._refusals = refusals
        self._stall_seconds = stall_seconds
        self._running: set[_Call] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self.stopping = threading.Event()

    @property
    def threads(self) -> int:
        """How many threads the server needs so that no admitted call waits for one."""
        return sum(kind.slots for kind, _ in self._kinds) + _REFUSING_THREADS

    def start(self) -> None:
        """Starts to watch for stalled calls."""
        threading.Thread(target=self._watch, name="admission", daemon=True).start()

    def stop(self) -> None:
        """Stops admitting calls."""
        self.stopping.set()

    def end(self) -> None:
        """Stops watching for stalled calls."""
        self._ended.set()

    def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Handler | None:
        """Puts admission in front of the handler."""
        handler = continuation(details)
        method = details.method
        slots = next((slots for kind, slots in self._kinds if method.startswith(kind.methods)), None)
        return self._guarded(handler, slots) if handler and slots else None

    def _guarded(self, handler: Handler, slots: _Slots) -> Handler:
        behaviour = behaviour_of(handler)
        guarded: Handler
        if handler.response_streaming:
            guarded = grpc.stream_stream_rpc_method_handler(
                self._streaming(handler, behaviour, slots), None, handler.response_serializer
            )
        else:
            guarded = grpc.stream_unary_rpc_method_handler(
                self._answering(handler, behaviour, slots), None, handler.response_serializer
            )
        return guarded

    def _answering(self, handler: Handler, behaviour: Behaviour, slots: _Slots) -> Behaviour:
        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> object:
            with self._admitted(context, slots) as call:
                return behaviour(call.request(messages, handler), context)

        return answer

    def _streaming(self, handler: Handler, behaviour: Behaviour, slots: _Slots) -> Behaviour:
        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[object]:
            with self._admitted(context, slots) as call:
                for response in behaviour(call.request(messages, handler), context):
                    with call.waiting():
                        yield response

        return answer

    @contextmanager
    def _admitted(self, context: grpc.ServicerContext, slots: _Slots) -> Iterator[_Call]:
        with self._refusing(context):
            if self.stopping.is_set() and not slots.kind.while_stopping:
                raise self._refusals.stopping()
            slots.acquire()
        try:
            with self._watched(context, slots.kind.seconds) as call:
                if slots.kind.seconds is None:
                    yield call
                else:
                    with limited(Deadline(context, slots.kind.seconds, self._refusals.deadline_exceeded)):
                        yield call
        finally:
            slots.release()

    @contextmanager
    def _watched(self, context: grpc.ServicerContext, seconds: float | None) -> Iterator[_Call]:
        call = _Call(context, seconds, self._refusals)
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


class _Slots:
    """The slots of one kind."""

    def __init__(self, kind: CallKind, refusals: Refusals) -> None:
        self.kind = kind
        self._overloaded = refusals.overloaded
        self._free = threading.BoundedSemaphore(kind.slots)

    def acquire(self) -> None:
        """Takes a slot, or raises `overloaded` if none is free."""
        if not self._free.acquire(blocking=False):
            raise self._overloaded(self.kind.name, self.kind.slots)

    def release(self) -> None:
        """Gives the slot back."""
        self._free.release()


class _Call:
    """A running call, and since when it has been waiting for its caller."""

    def __init__(self, context: grpc.ServicerContext, seconds: float | None, refusals: Refusals) -> None:
        """Starts with a call that waits for nothing; `seconds` is None if its caller may stay idle."""
        self._context = context
        self._seconds = seconds
        self._malformed = refusals.malformed
        self._waiting_since: float | None = None

    def request(self, messages: Iterator[bytes], handler: Handler) -> object:
        """The behaviour's first argument: the request message, or the stream of them."""
        parsed = self._parsed(messages, cast(Callable[[bytes], object], handler.request_deserializer))
        if handler.request_streaming:
            return self._watched(parsed) if self._seconds is not None else parsed
        for request in self._watched(parsed):
            return request
        raise self._malformed("expected one message, got none")

    def _parsed(self, messages: Iterator[bytes], parse: Callable[[bytes], object]) -> Iterator[object]:
        for message in messages:
            try:
                parsed = parse(message)
            except DecodeError as error:
                raise self._malformed("expected a message of this call's type, got other bytes") from error
            yield parsed

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
