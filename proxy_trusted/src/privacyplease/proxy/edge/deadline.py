"""How long the call that is being answered may still take.

A call has one deadline: its caller's, or the proxy's own for calls of its kind, whichever comes first. It is bound to
the call's context, so whatever is done for the call, in its thread, may ask for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import grpc

from privacyplease.proxy.errors import DeadlineExceededError


class Deadline:
    """The time that a call has left, and whether anybody still waits for its answer."""

    def __init__(self, context: grpc.ServicerContext, most_seconds: float) -> None:
        """Begins to count.

        Args:
            context: The call's; its caller may have set a deadline.
            most_seconds: What the proxy gives a call of its kind.
        """
        given = context.time_remaining()
        self._seconds = most_seconds if given is None else min(given, most_seconds)
        self._end = time.monotonic() + self._seconds
        self._context = context

    def remaining(self) -> float:
        """Seconds left, more than none.

        Raises:
            DeadlineExceededError: There are none, or the caller is gone.
        """
        left = self._end - time.monotonic()
        if left <= 0 or not self._context.is_active():
            raise DeadlineExceededError(
                f"the answer takes longer than {self._seconds:.0f} s", seconds=f"{self._seconds:.0f}"
            )
        return left

    def when_over(self, callback: Callable[[], None]) -> None:
        """Has something done as soon as the call is over, however it ended; at once if it is."""
        if not self._context.add_callback(callback):
            callback()


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def limited(deadline: Deadline) -> Iterator[None]:
    """Binds a deadline to all that is done in the block."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Deadline | None:
    """The deadline of the call that is being answered; None outside of calls and for ingest streams."""
    return _current.get()


def within(most_seconds: float) -> float:
    """Seconds that a step of the answer may take: `most_seconds`, or less if the call has less.

    Raises:
        DeadlineExceededError: The call has none left.
    """
    deadline = current()
    return most_seconds if deadline is None else min(most_seconds, deadline.remaining())


def require() -> None:
    """Passes if the call that is being answered has time left.

    Raises:
        DeadlineExceededError: It has none.
    """
    if deadline := current():
        deadline.remaining()
