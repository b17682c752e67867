"""A relay between the proxy and the storage server, which passes every message on and records what it sees.

It knows the contract only by its descriptors: a cell is a message with `tag` and `sealed`, a predicate has `tags`. So
it records whatever version of the contract is installed, and passes on unread what is not part of it (health checks).

Example:
    with relaying(storage_address) as relay:
        relay.now = 1_730_000_000_000
        ...                                   # the proxy talks to relay.address
        relay.trace()
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from attacks.trace import CallTrace, TracedCall, TracedCell
from privacyplease.storage.v1 import storage_service_pb2 as pb
from privacyplease.transport.keepalive import KEEPALIVE

_SERVICE = pb.DESCRIPTOR.services_by_name["StorageService"]
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_MOST_S = 3_600.0  # an infinite deadline would overflow on the second hop
# The metadata that HTTP/2 and gRPC set anew on the second hop.
_HOP = ("user-agent", "content-type", "te", "grpc-")

Sent = Callable[[bytes], None]


class CallRecorder:
    """Records calls.

    Attributes:
        now: The time with which calls are recorded, in ms since 1970.
    """

    def __init__(self) -> None:
        self.now = 0
        self._calls: list[TracedCall] = []
        self._numbers: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def trace(self) -> CallTrace:
        """The calls so far."""
        with self._lock:
            return CallTrace(list(self._calls))

    def begin(self, method: str) -> tuple[Sent, Sent] | None:
        """Records a call to "/package.Service/Method".

        Returns:
            What to pass each of its requests and each of its responses to; None if it is not part of the contract.
        """
        service, _, name = method.strip("/").partition("/")
        if service != _SERVICE.full_name or name not in _SERVICE.methods_by_name:
            return None
        contract = _SERVICE.methods_by_name[name]
        request, response = map(message_factory.GetMessageClass, (contract.input_type, contract.output_type))
        call = TracedCall(self.now, name)
        with self._lock:
            self._calls.append(call)
        return (
            lambda octets: self._requested(call, request.FromString(octets)),
            lambda octets: self._answered(call, response.FromString(octets)),
        )

    def _requested(self, call: TracedCall, message: Message) -> None:
        with self._lock:
            call.tags += [self._number(tag) for tag in _named(message)]
            call.cells += [TracedCell(self._number(cell.tag), len(cell.sealed)) for cell in _cells(message)]

    def _answered(self, call: TracedCall, message: Message) -> None:
        with self._lock:
            cells = [TracedCell(self._number(cell.tag), len(cell.sealed)) for cell in _cells(message)]
            call.cells += cells
            call.pages.append(len(cells))

    def _number(self, tag: bytes) -> int:
        return self._numbers.setdefault(tag, len(self._numbers))


class Relay(CallRecorder):
    """A recorder that serves at `address`."""

    address = ""


@contextmanager
def relaying(storage: str) -> Iterator[Relay]:
    """Serves a relay to a storage server, in plaintext on loopback, for as long as the block lasts."""
    relay = Relay()
    with grpc.insecure_channel(storage, options=_UNLIMITED) as channel:
        server = grpc.server(ThreadPoolExecutor(32), options=[*_UNLIMITED, *KEEPALIVE.server_options()])
        server.add_generic_rpc_handlers((_PassOn(channel, relay),))
        relay.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield relay
        finally:
            server.stop(0).wait()


class _PassOn(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic only in the stubs
    """Handles every method as a stream of bytes in each direction, which every kind of call is on the wire."""

    def __init__(self, channel: grpc.Channel, recorder: CallRecorder) -> None:
        self._channel = channel
        self._recorder = recorder

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = details.method

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            recording = self._recorder.begin(method)
            call = self._channel.stream_stream(method, None, None)(
                _recorded(requests, recording and recording[0]),
                timeout=min(context.time_remaining() or _MOST_S, _MOST_S),
                metadata=tuple(pair for pair in context.invocation_metadata() if not pair[0].startswith(_HOP)),
            )
            context.add_callback(call.cancel)
            try:
                yield from _recorded(call, recording and recording[1])
            except grpc.RpcError:
                context.set_trailing_metadata(tuple(call.trailing_metadata() or ()))
                context.abort(call.code(), call.details())

        return grpc.stream_stream_rpc_method_handler(handle)


def _recorded(messages: Iterable[bytes], record: Sent | None) -> Iterator[bytes]:
    for message in messages:
        if record:
            record(message)
        yield message


def _named(message: Any) -> Iterator[bytes]:  # noqa: ANN401  # one of several messages
    """The tags that a message names without sending their cells, in order."""
    fields = message.DESCRIPTOR.fields_by_name
    if "tag" in fields and "sealed" not in fields:
        yield message.tag
    if "tags" in fields:
        yield from message.tags
    for part in _parts(message):
        yield from _named(part)


def _cells(message: Message) -> Iterator[Any]:
    """The cells in a message, in order."""
    if {"tag", "sealed"} <= set(message.DESCRIPTOR.fields_by_name):
        yield message
    for part in _parts(message):
        yield from _cells(part)


def _parts(message: Message) -> Iterator[Message]:
    for descriptor, value in message.ListFields():
        if descriptor.message_type:
            yield from [value] if isinstance(value, Message) else value
