"""Stops a long run cleanly when the system or the user asks for it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_NO_SIGNAL = b"\0"


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Gives an event that SIGTERM or SIGINT sets. A second signal ends the process at once.

    Only for the main thread. A thread of its own sets the event: a handler that did so, in the middle of a `wait` of
    the same thread, would wait for ever for the lock that the interrupted `wait` holds. And it is woken by the byte
    that the interpreter writes as the signal arrives: a handler may wait until a blocked main thread goes on.
    """
    stop = threading.Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def watch() -> None:
        while (number := os.read(reading, 1)) != _NO_SIGNAL:
            if number[0] in _STOP_SIGNALS:
                stop.set()

    def end_at_the_next(*_: int | FrameType | None) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    watcher = threading.Thread(target=watch, name="stop signals", daemon=True)
    watcher.start()
    previous = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    woken_before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _STOP_SIGNALS:
        signal.signal(number, end_at_the_next)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(woken_before)
        os.write(writing, _NO_SIGNAL)
        watcher.join()
        os.close(reading)
        os.close(writing)
