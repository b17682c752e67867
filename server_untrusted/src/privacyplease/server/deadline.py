"""How long the call that is being answered may still take.

A call has one deadline: its caller's, or the server's own for calls of its kind, whichever comes first. It is bound to
the call's context, so whatever is done for the call, in its thread, may ask for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import grpc

from privacyplease.server.errors import DeadlineExceededError


class Deadline:
    """The time that a call has left, and whether anybody still waits for its answer."""

    def __init__(self, context: grpc.ServicerContext, most_seconds: float) -> None:
        """Begins to count.

        Args:
            context: The call's; its caller may have set a deadline.
            most_seconds: What the server gives a call of its kind.
        """
        given = context.time_remaining()
        self._seconds = most_seconds if given is None else min(given, most_seconds)
        self._end = time.monotonic() + self._seconds
        self._context = context

    def check(self) -> None:
        """Passes while there is time.

        Raises:
            DeadlineExceededError: There is none left, or the caller is gone.
        """
        if time.monotonic() >= self._end or not self._context.is_active():
            raise DeadlineExceededError(seconds=int(self._seconds))


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def limited(deadline: Deadline) -> Iterator[None]:
    """Binds a deadline to all that is done in the block."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def check() -> None:
    """Passes while the call that is being answered has time left; outside of calls always.

    Raises:
        DeadlineExceededError: It has none, or its caller is gone.
    """
    if deadline := _current.get():
        deadline.check()
