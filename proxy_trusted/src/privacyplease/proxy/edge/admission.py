"""Admission: how many calls of each kind run at once, for how long, and what happens to the next one.

Each kind of call has a number of its own, so that none starves another: health and status answer while every question
is taken, and ingest goes on. Whoever comes when all are taken is refused at once. Nobody waits in a queue.

Every call is read as a stream of bytes, whatever its shape: so a caller that opens a call and sends nothing is in the
proxy's hands, and a message that cannot be parsed is the caller's fault with a reason.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError

from privacyplease.proxy.edge.deadline import Deadline, limited
from privacyplease.proxy.edge.rpc import fail
from privacyplease.proxy.errors import InvalidRequestError, OverloadedError, StoppingError

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_LOOK_EVERY_SECONDS = 1.0
# Threads beyond those of admitted calls: whoever is refused takes one, for about a millisecond.
_REFUSING = 8


class Kind(NamedTuple):
    """Calls that share a limit.

    Attributes:
        name: What clients are told.
        methods: Prefixes of the paths of its methods.
        at_once: How many run at the same time.
        seconds: How long an answer may take; None for streams that live as long as both ends like.
        last: Whether calls are admitted while the proxy is being stopped.
    """

    name: str
    methods: tuple[str, ...]
    at_once: int
    seconds: float | None
    last: bool = False


class Admission(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Admits calls, watches over those that run, and stops admitting when told to."""

    def __init__(self, kinds: Sequence[Kind], stall_seconds: float) -> None:
        """Takes the kinds.

        Args:
            kinds: A call is of the first that has its method; the last should have all.
            stall_seconds: How long a caller may keep the proxy waiting for a message it owes, or for taking one.
        """
        self._kinds = [(kind, _Gate(kind)) for kind in kinds]
        self._stall_seconds = stall_seconds
        self._running: set[_Call] = set()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.stopping = threading.Event()

    @property
    def threads(self) -> int:
        """How many threads all of them need, so that no call that is admitted waits for one."""
        return sum(kind.at_once for kind, _ in self._kinds) + _REFUSING

    def start(self) -> None:
        """Begins to watch over the calls."""
        threading.Thread(target=self._watch, name="admission", daemon=True).start()

    def stop(self) -> None:
        """Admits no call any more."""
        self.stopping.set()

    def end(self) -> None:
        """Ends the watch."""
        self._over.set()

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Puts admission before whatever would answer."""
        handler = continuation(details)
        method = details.method
        gate = next((gate for kind, gate in self._kinds if method.startswith(kind.methods)), None)
        return self._guarded(handler, gate) if handler and gate else None

    def _guarded(self, handler: _Handler, gate: _Gate) -> _Handler:
        behaviour = cast(
            _Behaviour,
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream,
        )
        made: _Handler
        if handler.response_streaming:
            made = grpc.stream_stream_rpc_method_handler(
                self._streaming(handler, behaviour, gate), None, handler.response_serializer
            )
        else:
            made = grpc.stream_unary_rpc_method_handler(
                self._answering(handler, behaviour, gate), None, handler.response_serializer
            )
        return made

    def _answering(self, handler: _Handler, behaviour: _Behaviour, gate: _Gate) -> _Behaviour:
        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> object:
            with self._admitted(context, gate) as call:
                return behaviour(call.request(messages, handler), context)

        return answer

    def _streaming(self, handler: _Handler, behaviour: _Behaviour, gate: _Gate) -> _Behaviour:
        def answer(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[object]:
            with self._admitted(context, gate) as call:
                for response in behaviour(call.request(messages, handler), context):
                    with call.waiting():
                        yield response

        return answer

    @contextmanager
    def _admitted(self, context: grpc.ServicerContext, gate: _Gate) -> Iterator[_Call]:
        with self._refusing(context):
            if self.stopping.is_set() and not gate.kind.last:
                raise StoppingError("the proxy is being stopped")
            gate.enter()
        try:
            with self._watched(context, gate) as call:
                if gate.kind.seconds is None:
                    yield call
                else:
                    with limited(Deadline(context, gate.kind.seconds)):
                        yield call
        finally:
            gate.leave()

    @contextmanager
    def _watched(self, context: grpc.ServicerContext, gate: _Gate) -> Iterator[_Call]:
        call = _Call(context, gate.kind.seconds)
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
        """Ends the call with a status if the block fails, health's and reflection's among them."""
        try:
            yield
        except Exception as error:  # the boundary: nothing passes it unmapped
            if context.code() is None:  # type: ignore[attr-defined]  # the stubs lack it
                fail(error, context)
            # It has its status. Saying so again keeps gRPC from logging the error as one that nobody foresaw.
            context.abort(context.code(), context.details())  # type: ignore[attr-defined]

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY_SECONDS):
            with self._lock:
                running = list(self._running)
            for call in running:
                call.cancel_if_stalled(self._stall_seconds)


class _Gate:
    """The places of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._places = threading.BoundedSemaphore(kind.at_once)

    def enter(self) -> None:
        """Takes a place, or is refused."""
        if not self._places.acquire(blocking=False):
            name, limit = self.kind.name, self.kind.at_once
            raise OverloadedError(f"{limit:,} calls of kind {name!r} run, which is all", kind=name, limit=limit)

    def leave(self) -> None:
        """Gives the place back."""
        self._places.release()


class _Call:
    """A call that runs, and since when it waits for its caller."""

    def __init__(self, context: grpc.ServicerContext, seconds: float | None) -> None:
        """Takes the call's context, and how long it may take; None if its caller may be idle."""
        self._context = context
        self._seconds = seconds
        self._since: float | None = None

    def request(self, messages: Iterator[bytes], handler: _Handler) -> object:
        """What the behaviour takes: the message of the call, or the stream of them."""
        parsed = _parsed(messages, cast(Callable[[bytes], object], handler.request_deserializer))
        if handler.request_streaming:
            return self._in_time(parsed) if self._seconds is not None else parsed
        for request in self._in_time(parsed):
            return request
        raise InvalidRequestError("expected one message, got none", field="message")

    def _in_time(self, messages: Iterator[object]) -> Iterator[object]:
        while True:
            with self.waiting():
                message = next(messages, None)
            if message is None:
                return
            yield message

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For a block that waits for the caller."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def cancel_if_stalled(self, most_seconds: float) -> None:
        """Ends a call whose caller does not get on for so long, or for as long as the whole call may take."""
        since, most = self._since, most_seconds if self._seconds is None else min(self._seconds, most_seconds)
        if since is not None and time.monotonic() - since > most:
            self._context.cancel()  # type: ignore[no-untyped-call]


def _parsed(messages: Iterator[bytes], parse: Callable[[bytes], object]) -> Iterator[object]:
    for message in messages:
        try:
            parsed = parse(message)
        except DecodeError as error:
            raise InvalidRequestError("expected a message of this call's type", field="message") from error
        yield parsed
