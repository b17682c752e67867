"""The errors that a zone refuses calls with, as `admission` and `deadline` need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import grpc

from privacyplease.transport.slots import Reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """One zone's errors for calls that are refused, and how an error ends a call.

    Attributes:
        overloaded: All slots of a kind are in use, or all that the caller may hold; called with which.
        stopping: The server is shutting down.
        malformed: The request message is missing or does not parse; called with what was expected.
        unsent: The request message did not arrive in time; called with the seconds that it had.
        deadline_exceeded: The call ran out of time; called with the seconds that it had.
        fail: Ends the call with the status of an error, whatever it is.
    """

    overloaded: Callable[[Reached], Exception]
    stopping: Callable[[], Exception]
    malformed: Callable[[str], Exception]
    unsent: Callable[[float], Exception]
    deadline_exceeded: Callable[[float], Exception]
    fail: Callable[[Exception, grpc.ServicerContext], NoReturn]
