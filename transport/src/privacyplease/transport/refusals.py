"""The errors that a zone refuses calls with, as `admission` and `deadline` need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """One zone's errors for calls that are refused, and how an error ends a call.

    Attributes:
        overloaded: All slots of a kind are in use; called with the kind's name and how many slots it has.
        stopping: The server is shutting down.
        malformed: The request message is missing or does not parse; called with what was expected.
        deadline_exceeded: The call ran out of time; called with the seconds that it had.
        fail: Ends the call with the status of an error, whatever it is.
    """

    overloaded: Callable[[str, int], Exception]
    stopping: Callable[[], Exception]
    malformed: Callable[[str], Exception]
    deadline_exceeded: Callable[[float], Exception]
    fail: Callable[[Exception, grpc.ServicerContext], NoReturn]
