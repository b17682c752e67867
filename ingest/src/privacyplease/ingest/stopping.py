"""Ends a long run in good order when the system or the user asks for it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["stop_on_signal"]


@contextlib.contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Gives an event that SIGTERM or Ctrl-C sets. A second signal has its usual effect, for those in a hurry."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()
        for each, handler in before.items():
            signal.signal(each, handler)

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    for each in before:
        signal.signal(each, ask)
    try:
        yield stop
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
