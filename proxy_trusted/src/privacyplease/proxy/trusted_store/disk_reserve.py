"""Room on the disk of the proxy's home that is kept for administrators.

A file occupies it. When a write to the home fails for lack of room the file is deleted, and until there is room again
only what administrators do is written: records and questions about persons are refused, and what was acknowledged
stays readable.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError

RESERVE_BYTES = 32 * 1024 * 1024
LOW_BYTES = 1024 * 1024 * 1024

DISK_FULL = (
    "the disk of the proxy's home is full; what was acknowledged is stored, send the rest again once there is room"
)

_LOOK_EVERY_SECONDS = 1.0

_log = logging.getLogger(__name__)


def is_full(error: BaseException) -> bool:
    """Whether an error means that there is no room on the disk."""
    raised = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(raised, sqlite3.Error):
        return getattr(raised, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
    return isinstance(raised, OSError) and raised.errno in (errno.ENOSPC, errno.EDQUOT)


class DiskReserve:
    """The reserve of one home. Safe to use from many threads."""

    def __init__(self, file: Path, size: int = RESERVE_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        """Occupies the reserve, if as much remains free after it. If not, the disk counts as full.

        Args:
            file: The file that occupies it.
            size: How many bytes.
            clock: Returns the time in seconds.
        """
        self._file, self._size, self._clock = file, size, clock
        self._lock = threading.Lock()
        self._looked_at = clock()
        self._full = not self._occupy()
        if self._full:
            _log.error("%s: the disk is full", file.parent)

    @property
    def full(self) -> bool:
        """Whether the disk was full, and there is no room yet to occupy the reserve again."""
        if self._full and self._clock() - self._looked_at >= _LOOK_EVERY_SECONDS:
            with self._lock:
                self._looked_at = self._clock()
                if self._full and self._occupy():
                    self._full = False
                    _log.info("%s: the disk has room again", self._file.parent)
        return self._full

    @property
    def low(self) -> bool:
        """Whether so little is free that someone should act before the disk is full."""
        return self.free_bytes() < LOW_BYTES

    def free_bytes(self) -> int:
        """How many bytes are free on the disk of the home, without the reserve."""
        return shutil.disk_usage(self._file.parent).free

    def release(self, error: BaseException) -> bool:
        """Frees the reserve if an error means that there is no room on the disk.

        Returns:
            Whether it was freed by this call, so that trying again may succeed.
        """
        if not is_full(error):
            return False
        with self._lock:
            freed, self._full, self._looked_at = self._file.exists(), True, self._clock()
            self._file.unlink(missing_ok=True)
        if freed:
            _log.error("%s: the disk is full: only what administrators do is written", self._file.parent)
        return freed

    def watch(self, store: Engine) -> None:
        """Frees the reserve when a statement fails because the disk of a store is full."""
        event.listen(store, "handle_error", self._failed)

    def close(self) -> None:
        """Frees the reserve while the proxy does not run."""
        self._file.unlink(missing_ok=True)

    def _failed(self, context: ExceptionContext) -> None:
        self.release(context.original_exception)

    def _occupy(self) -> bool:
        """Makes the file unless that would leave less than its size.

        Returns:
            Whether it exists.
        """
        try:
            if self._file.exists() and self._file.stat().st_size == self._size:
                return True
            if self.free_bytes() < 2 * self._size:
                return False
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
        except OSError:
            self._file.unlink(missing_ok=True)
            return False
        return True
