"""How much time the current call has left.

A call has one deadline: its caller's, or the server's own for calls of its kind, whichever comes first. It is kept in a
context variable of the thread that answers the call, so that every step of the answer can ask for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import grpc


class Deadline:
    """The time that a call has left, and whether its caller is still waiting."""

    def __init__(
        self, context: grpc.ServicerContext, limit_seconds: float, exceeded: Callable[[float], Exception]
    ) -> None:
        """Starts the clock.

        Args:
            context: The call's context, with the caller's own deadline if there is one.
            limit_seconds: How long the server allows calls of this kind to take.
            exceeded: Makes the error for a call that ran out of time, from the seconds that it had.
        """
        callers = context.time_remaining()
        self._seconds = limit_seconds if callers is None else min(callers, limit_seconds)
        self._end = time.monotonic() + self._seconds
        self._context = context
        self._exceeded = exceeded

    def remaining(self) -> float:
        """Seconds left, always more than 0.

        Raises:
            Exception: `exceeded`; no time is left, or the caller has gone.
        """
        left = self._end - time.monotonic()
        if left <= 0 or not self._context.is_active():
            raise self._exceeded(self._seconds)
        return left

    def when_over(self, callback: Callable[[], None]) -> None:
        """Calls back when the call ends, however it ends; immediately if it already has."""
        if not self._context.add_callback(callback):
            callback()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def limited(deadline: Deadline) -> Iterator[None]:
    """Makes a deadline the current one for the block."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Deadline | None:
    """The current call's deadline; None outside of calls, and for streams without one."""
    return _current.get()


def within(limit_seconds: float) -> float:
    """How many seconds a step of the answer may take: `limit_seconds`, or what the call has left if that is less.

    Raises:
        Exception: The zone's error for calls that ran out of time.
    """
    deadline = current()
    return limit_seconds if deadline is None else min(limit_seconds, deadline.remaining())


def require() -> None:
    """Returns if the current call has time left, and outside of calls.

    Raises:
        Exception: The zone's error for calls that ran out of time.
    """
    if deadline := current():
        deadline.remaining()
