"""The fence: a proxy whose lease has run out answers and admits nothing until it has renewed it.

Others may take it for dead then and go on without it: a period may have been erased meanwhile (`lifecycle/peers.py`).
The fence closes by itself, by a clock, so that it holds even for a process that was stopped and continues.

>>> fence = Fence()
>>> fence.open_for(10.0, since=fence.clock())
>>> fence.require(fence.enter())
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeAlias

import grpc

from privacyplease.proxy.edge.rpc import fail
from privacyplease.proxy.errors import FencedError
from privacyplease.transport.handlers import wrapped

_Behaviour: TypeAlias = Callable[..., Any]
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# What says nothing of records: health and reflection, and the status, which says why the rest is refused.
_UNFENCED = ("/grpc.", "/privacyplease.proxy.v1.AdminService/")


def clock() -> float:
    """Seconds that never go back, and go on while the machine sleeps, where the system can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Fence:
    """Closed at first. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = clock) -> None:
        self.clock = clock
        self._until = float("-inf")
        self._lapses = 0
        self._lock = threading.Lock()

    def open_for(self, seconds: float, *, since: float) -> None:
        """Opens the fence, or keeps it open; what was begun before it closed stays refused."""
        with self._lock:
            self._lapses += self.clock() > self._until
            self._until = since + seconds

    def enter(self) -> int:
        """Begins something that `require` checks later.

        Raises:
            FencedError: The fence is closed.
        """
        with self._lock:
            entered = self._lapses
        self.require(entered)
        return entered

    def require(self, entered: int) -> None:
        """Returns if the fence is open and has been since `enter`.

        Raises:
            FencedError: It is not.
        """
        with self._lock:
            held = entered == self._lapses and self.clock() <= self._until
        if not held:
            raise FencedError("this proxy has lost its lease on the trusted store and is renewing it")


class FenceInterceptor(grpc.ServerInterceptor):  # type: ignore[type-arg]  # generic only in the stubs
    """Checks the fence before a call, before each message that is admitted, and before each that leaves."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], _Handler | None], details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Wraps the rpc's handler with the check."""
        handler = continuation(details)
        if handler is None or details.method.startswith(_UNFENCED):
            return handler
        return wrapped(handler, self._fencing(bool(handler.request_streaming), bool(handler.response_streaming)))

    def _fencing(self, streams_in: bool, streams_out: bool) -> Callable[[_Behaviour], _Behaviour]:
        def fenced(behaviour: _Behaviour) -> _Behaviour:
            @wraps(behaviour)
            def one(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401  # any message
                try:
                    entered = self._fence.enter()
                    response = behaviour(self._admitted(request, entered) if streams_in else request, context)
                    self._fence.require(entered)
                    return response
                except FencedError as error:
                    fail(error, context)

            @wraps(behaviour)
            def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401  # any message
                try:
                    entered = self._fence.enter()
                    for response in behaviour(self._admitted(request, entered) if streams_in else request, context):
                        self._fence.require(entered)
                        yield response
                except FencedError as error:
                    fail(error, context)

            return many if streams_out else one

        return fenced

    def _admitted(self, messages: Iterator[Any], entered: int) -> Iterator[Any]:
        for message in messages:
            self._fence.require(entered)
            yield message
