"""How a server process tells where it serves, and how it is stopped."""

from __future__ import annotations

import argparse
import math
import os
import signal
import threading
from pathlib import Path

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_signal() -> threading.Event:
    """An event that the first SIGTERM or SIGINT sets; a second one ends the process immediately."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    return stopped


def write_address(file: Path, address: str) -> None:
    """Writes an address to a file, atomically: a process that waits for the file never reads half of it."""
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(f"{address}\n", encoding="utf-8")
    partial.replace(file)


def seconds(text: str) -> float:
    """The value of a command line option in seconds, for argparse.

    >>> seconds("2.5")
    2.5
    """
    if not 0 <= (number := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, at least 0, got {text}")
    return number
