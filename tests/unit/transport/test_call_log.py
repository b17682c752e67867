"""Admission, deadline and call log around the calls of a real gRPC server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import NamedTuple, NoReturn

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from privacyplease.transport import deadline
from privacyplease.transport.admission import Admission
from privacyplease.transport.call_log import CallLog, FinishedCall, count_fetched, running
from privacyplease.transport.refusals import Refusals
from privacyplease.transport.slots import CallKind
from privacyplease.transport.status import abort, build
from tests.services.polling import eventually

SLOW, QUICK = "/test.Service/Slow", "/test.Service/Quick"
METHODS = {SLOW: "Slow", QUICK: "Quick"}


class RefusedError(Exception):
    """What the zone under test refuses calls with."""


def fail(error: Exception, context: grpc.ServicerContext) -> NoReturn:
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if isinstance(error, RefusedError) else grpc.StatusCode.INTERNAL
    abort(context, build(error, code, "TEST_REASON", "test", metadata={"id": "7"}))


REFUSALS = Refusals(
    overloaded=lambda reached: RefusedError(str(reached)),
    stopping=lambda: RefusedError("stopping"),
    malformed=lambda expected: RefusedError(expected),
    unsent=lambda seconds: RefusedError(f"expected the message within {seconds:g} s"),
    deadline_exceeded=lambda seconds: RefusedError(f"longer than {seconds:g} s"),
    fail=fail,
)


class Server(NamedTuple):
    """A running server, and what its call log reported."""

    admission: Admission
    finished: list[FinishedCall]
    entered: threading.Event
    release: threading.Event
    call: Callable[[str, bytes], Duration]


@contextmanager
def serving(seconds: float = 60.0) -> Iterator[Server]:
    """A server with one slot for slow calls, which wait to be released, and one for quick ones."""
    entered, release = threading.Event(), threading.Event()
    finished: list[FinishedCall] = []

    def slow(request: Duration, _context: grpc.ServicerContext) -> Duration:
        entered.set()
        count_fetched(3, 600)
        release.wait(10)
        deadline.require()
        return request

    def quick(_request: Duration, _context: grpc.ServicerContext) -> Duration:
        return Duration(seconds=int(deadline.within(10)), nanos=int(running() is not None))

    handlers = {
        path.rpartition("/")[2]: grpc.unary_unary_rpc_method_handler(
            behaviour, Duration.FromString, Duration.SerializeToString
        )
        for path, behaviour in ((SLOW, slow), (QUICK, quick))
    }
    kinds = (CallKind("slow", (SLOW,), 1, seconds), CallKind("quick", ("/",), 1, 5.0, while_stopping=True))
    admission = Admission(kinds, REFUSALS, 60.0)
    log = CallLog(METHODS, finished.append, client_of=lambda _: "alice")
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(admission.threads))
        server = grpc.server(pool, interceptors=[log, admission])
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Service", handlers)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        stack.callback(lambda: server.stop(0).wait())
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
        stack.callback(release.set)

        def call(path: str, message: bytes = b"") -> Duration:
            answer: Duration = channel.unary_unary(path, None, Duration.FromString)(message, timeout=20)
            return answer

        yield Server(admission, finished, entered, release, call)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return str(caught.value.details())


def test_a_call_without_a_free_slot_is_refused_while_other_kinds_are_answered() -> None:
    with serving() as server, ThreadPoolExecutor(1) as thread:
        first = thread.submit(server.call, SLOW, b"")
        assert server.entered.wait(5)
        assert refusal(lambda: server.call(SLOW, b"")) == "all 1 slow slots are in use"
        assert server.call(QUICK, b"").nanos == 1
        server.release.set()
        first.result()
        assert server.call(SLOW, b"") == Duration()


def test_a_stopping_server_admits_only_the_kinds_that_may_still_call() -> None:
    with serving() as server:
        server.admission.stop()
        assert refusal(lambda: server.call(SLOW, b"")) == "stopping"
        server.call(QUICK, b"")


def test_a_message_that_does_not_parse_is_refused() -> None:
    with serving() as server:
        assert "expected a message of this call's type" in refusal(lambda: server.call(QUICK, b"\xff"))


def test_a_call_has_the_time_of_its_kind() -> None:
    with serving(seconds=0.0) as server:
        server.release.set()
        assert server.call(QUICK, b"").seconds == 4  # of 5 seconds, some of the first has passed
        assert refusal(lambda: server.call(SLOW, b"")) == "longer than 0 s"


def test_each_call_is_reported_once_with_how_it_ended() -> None:
    with serving() as server:
        server.release.set()
        server.call(SLOW, b"")
        refusal(lambda: server.call(QUICK, b"\xff"))
        assert eventually(lambda: len(server.finished) == 2, 5)
    answered, refused = server.finished
    assert answered[:5] == ("Slow", "alice", grpc.StatusCode.OK, "", "")
    assert (answered.cells, answered.bytes, answered.failed, answered.retried) == (3, 600, False, False)
    assert refused[:5] == ("Quick", "alice", grpc.StatusCode.RESOURCE_EXHAUSTED, "TEST_REASON", "7")
    assert refused.failed


def test_outside_of_calls_nothing_is_limited_or_counted() -> None:
    deadline.require()
    count_fetched(1, 1)
    assert (deadline.within(3.0), deadline.current(), running()) == (3.0, None, None)
