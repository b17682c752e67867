"""The log of a server: appended to, so that what a crash wrote is still there after the next start."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_MOST_BYTES = 10 * 1024 * 1024
_KEPT = 3


def open_log(log: Path) -> BinaryIO:
    """Opens a log for appending. One that has grown large is set aside first, as `proxy.log.1`.

    A server keeps the file that it was started with, so this bounds the logs only from one start to the next.
    """
    if log.exists() and log.stat().st_size >= _MOST_BYTES:
        for number in range(_KEPT - 1, 0, -1):
            if (older := _set_aside(log, number)).exists():
                older.replace(_set_aside(log, number + 1))
        log.replace(_set_aside(log, 1))
    return log.open("ab")


def _set_aside(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
