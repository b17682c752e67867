"""Writing the audit log.

A line is written at once; the first caller that waits for its durability syncs it together with all lines before it.
The lines are synced before the anchor: after a crash at any point the log may be longer than the anchor says, and is
never shorter. The anchor itself is not synced for each line, which would take longer than the line: a loss of power may
lose the latest anchors, but no line.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import PoolProxiedConnection

from privacyplease.proxy.audit import chain
from privacyplease.proxy.audit.chain import ChainedLine, open_line
from privacyplease.proxy.audit.files import cut_torn_line, file_of, files, open_to_write, sync_file, sync_folder
from privacyplease.proxy.audit.reader import KEY, OWNER, AuditReader
from privacyplease.proxy.errors import AuditUnavailableError, ConfigurationError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve, is_full

MOST_FILE_BYTES = 64 * 1024 * 1024
_SYNC_EVERY_SECONDS = 1.0

_PUT_ANCHOR = "INSERT OR REPLACE INTO audit_anchor (one, number, mac) VALUES (1, ?, ?)"

_log = logging.getLogger(__name__)


class _End(NamedTuple):
    """The end of a log: its last file, that file's size, and number and chain of the last line."""

    file: Path
    size: int
    number: int
    chain: bytes


class Added(NamedTuple):
    """An added line: its number, and how often lines had been lost when it was added."""

    number: int
    losses: int


class AuditLog(AuditReader):
    """A log that can be appended to. Safe to use from many threads, but only one process may write to a folder."""

    def __init__(
        self,
        folder: Path,
        store: Engine,
        keyring: Keyring,
        *,
        most_file_bytes: int = MOST_FILE_BYTES,
        reserve: DiskReserve | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Continues the log at its end. A torn last line is cut off, which is recorded.

        Args:
            folder: The folder of the log's files; created on first use.
            store: Where the anchor is kept.
            keyring: Holds the log's key.
            most_file_bytes: A new file is begun where a file would become larger.
            reserve: The reserve on its disk, which is freed when the disk is full.
            clock: Returns the current time.

        Raises:
            KeyringError: The log's key is unavailable.
            ConfigurationError: The log cannot be written.
        """
        keyring.ensure(OWNER, KEY.epoch)
        super().__init__(folder, store, keyring)
        self._most_file_bytes, self._reserve, self._clock = most_file_bytes, reserve, clock
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._losses = 0
        self._anchors: PoolProxiedConnection | None = None
        self._durable = self._end = _End(file_of(folder, 1), 0, 0, chain.START)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._continue()
        except (OSError, AuditUnavailableError) as error:
            raise ConfigurationError(f"{folder}: the audit log cannot be written: {error}") from error

    @property
    def full(self) -> bool:
        """Whether its disk is full, so that only what administrators do should be added."""
        return self._reserve is not None and self._reserve.full

    @property
    def empty(self) -> bool:
        """Whether it never had a line."""
        return self._end.number == 0

    def now(self) -> str:
        """The current time, as entries state times."""
        return self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def record(self, entry: Mapping[str, object]) -> None:
        """Adds an entry. On return it survives a loss of power.

        Raises:
            AuditUnavailableError: The log cannot be written.
        """
        self.sync(self.add(entry))

    def add(self, entry: Mapping[str, object]) -> Added:
        """Adds an entry. It survives a crash of the proxy at once, and a loss of power once it is synced.

        Raises:
            AuditUnavailableError: The log cannot be written.
        """
        with self._lock:
            try:
                self._end = self._append_if_room({"at": self.now(), **entry})
            except OSError as error:
                raise _unavailable(error) from error
            return Added(self._end.number, self._losses)

    def sync(self, added: Added) -> None:
        """Returns when an entry, and all added before it, survive a loss of power.

        Raises:
            AuditUnavailableError: The log cannot be written. The entry and those after it were removed again.
        """
        with self._syncing:
            if added.losses < self._losses:
                raise _unavailable("the line was lost with one before it")
            if added.number > self._durable.number:
                self._sync()

    def start(self) -> None:
        """Begins to sync periodically, for entries that no caller waits for."""
        self._thread.start()

    def stop(self) -> None:
        """Ends periodic syncing, after a last sync."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _continue(self) -> None:
        """Continues after the last line or after the number in the anchor, whichever is later.

        So if lines are missing, their numbers stay missing for good.
        """
        existing = files(self._folder)
        file = existing[-1] if existing else self._end.file
        torn = cut_torn_line(file)
        last = _last_line(existing)
        size = file.stat().st_size if existing else 0
        number = max(last.number if last else 0, self.remembered().number)
        self._durable = self._end = _End(file, size, number, last.chain if last else chain.START)
        if torn:
            self.record({"event": "recovered", "bytes": torn})

    def _append_if_room(self, entry: Mapping[str, object]) -> _End:
        """Adds a line as `_append` does; if the disk is full, in the reserve."""
        try:
            return self._append(entry)
        except OSError as error:
            if not self._freed(error):
                raise
        return self._append(entry)

    def _append(self, entry: Mapping[str, object]) -> _End:
        """Adds a line to the last file, or to a new one after a checkpoint; on failure no line is added.

        Returns:
            The new end.
        """
        end = self._end
        lines, end_after = self._sealed(end, entry)
        if end.size and end.size + len(lines) > self._most_file_bytes:
            sync_file(end.file)
            end = self._durable = self._end = end._replace(file=file_of(self._folder, end.number + 1), size=0)
        if not end.size and end.chain != chain.START:
            lines, end_after = self._sealed(end, {"at": entry["at"], **chain.checkpoint(end.chain)}, entry)
        with open_to_write(end.file, os.O_CREAT | os.O_APPEND) as descriptor:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, lines) < len(lines):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return end_after._replace(file=end.file, size=size + len(lines))

    def _sealed(self, end: _End, *entries: Mapping[str, object]) -> tuple[bytes, _End]:
        """Entries as lines that follow an end, and the end with the number and chain of the last of them."""
        lines = b""
        for entry in entries:
            line, line_chain = chain.seal(self._chain_key, end.chain, {"n": end.number + 1, **entry})
            lines += line + b"\n"
            end = end._replace(number=end.number + 1, chain=line_chain)
        return lines, end

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stopping.wait(_SYNC_EVERY_SECONDS)
            with suppress(AuditUnavailableError):  # it was logged
                self.sync(Added(self._end.number, self._losses))

    def _sync(self) -> None:
        """Makes all lines durable, and anchors the last."""
        end = self._end
        try:
            sync_file(end.file)
            if not self._durable.size:
                sync_folder(self._folder)
        except OSError as error:
            self._cut()
            self._freed(error)
            raise _unavailable(error) from error
        with self._lock:
            self._durable = max(self._durable, end, key=attrgetter("number"))
        try:
            self._anchor_if_room(end)
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise _unavailable(error) from error

    def _freed(self, error: Exception) -> bool:
        """Frees the reserve if the disk is full, and returns whether that may help."""
        return self._reserve is not None and self._reserve.release(error)

    def _cut(self) -> None:
        """Removes what is not durable, if possible. If not, the log continues after it."""
        with self._lock, suppress(OSError):
            with open_to_write(self._durable.file) as descriptor:
                os.ftruncate(descriptor, min(self._durable.size, os.fstat(descriptor).st_size))
            self._end = self._durable
            self._losses += 1

    def _anchor_if_room(self, end: _End) -> None:
        """Anchors as `_anchor` does; if the disk is full, in the reserve."""
        try:
            self._anchor(end)
        except (sqlite3.Error, SQLAlchemyError) as error:
            if not self._freed(error):
                raise
            self._anchor(end)

    def _anchor(self, end: _End) -> None:
        mac = chain.anchor(self._anchor_key, end.number, end.chain)
        if self._anchors is None:  # a dedicated connection: SQLAlchemy and its pool took most of the time of a line
            self._anchors = self._store.raw_connection()
            self._anchors.cursor().execute("PRAGMA synchronous = NORMAL")  # for this connection only
        self._anchors.cursor().execute(_PUT_ANCHOR, (end.number, mac))  # commits by itself


def disk_full() -> AuditUnavailableError:
    """The error for a call that must be recorded while the disk is full."""
    return AuditUnavailableError(
        "this call must be recorded, but the disk of the proxy's home is full; free some space"
    )


def _unavailable(cause: object) -> AuditUnavailableError:
    _log.error("the audit log cannot be written: %s", cause)
    if isinstance(cause, Exception) and is_full(cause):
        return disk_full()
    return AuditUnavailableError("this call must be recorded, but the audit log cannot be written")


def _last_line(paths: list[Path]) -> ChainedLine | None:
    """The last readable line."""
    for path in reversed(paths):
        for line in reversed(path.read_bytes().splitlines()):
            if opened := open_line(line):
                return opened
    return None
