"""Stops a long run cleanly when the system or the user asks for it."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["stop_on_signal"]


@contextlib.contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Gives an event that SIGTERM or Ctrl-C sets. A second signal has its usual effect and ends the run at once."""
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()
        restore()

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, request_stop)
    try:
        yield stop
    finally:
        restore()
