"""The log as it is written and read.

What is recorded is durable when `record` returns. First the line, then the anchor: after a crash at any point the log
may be longer than the anchor says, and is never shorter.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError

from privacyplease.proxy.audit import chain
from privacyplease.proxy.audit.chain import Line, open_line
from privacyplease.proxy.audit.files import file_of, files, lines
from privacyplease.proxy.audit.verify import NO_ANCHOR, Anchor, Verdict, verify
from privacyplease.proxy.errors import AuditUnavailableError, ConfigurationError
from privacyplease.proxy.keyring import Keyring
from privacyplease.proxy.trusted_store import audit_anchor

MOST_FILE_BYTES = 64 * 1024 * 1024

# The log's data key is one of the keyring's. No data set has such a name, so it is erased with none.
_OWNER, _EPOCH = "/audit", 0

_PUT_ANCHOR = "INSERT OR REPLACE INTO audit_anchor (one, number, mac) VALUES (1, ?, ?)"

_log = logging.getLogger(__name__)


class AuditReader:
    """Reads a log and verifies it."""

    def __init__(self, folder: Path, store: Engine, keyring: Keyring) -> None:
        """Looks at a folder.

        Args:
            folder: Of its files.
            store: Where the anchor is kept.
            keyring: Where its key is.

        Raises:
            KeyringError: The log's key is not to be had.
        """
        self._folder, self._store = folder, store
        self._chain_key, self._anchor_key, self._subject_key = (
            keyring.derived(_OWNER, _EPOCH, label)
            for label in (chain.CHAIN_LABEL, chain.ANCHOR_LABEL, chain.SUBJECT_LABEL)
        )

    def pseudonym(self, subject: str) -> str:
        """The name that the log has for a subject."""
        return chain.pseudonym(self._subject_key, subject)

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Every entry, oldest first, unverified."""
        opened = (open_line(place.line) for place in lines(self._folder))
        return (line.entry for line in opened if line)

    def verify(self) -> Verdict:
        """Checks all lines that were recorded when it was called, and perhaps later ones."""
        return verify(lines(self._folder), self._chain_key, self._anchor_key, self.remembered())

    def remembered(self) -> Anchor:
        """The anchor."""
        with self._store.connect() as connection:
            row = connection.execute(select(audit_anchor)).one_or_none()
        return Anchor(row.number, bytes(row.mac)) if row else NO_ANCHOR


class AuditLog(AuditReader):
    """Appends entries, too. Safe to use from many threads of one process; one process writes to a folder at a time."""

    def __init__(
        self,
        folder: Path,
        store: Engine,
        keyring: Keyring,
        *,
        most_file_bytes: int = MOST_FILE_BYTES,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Takes up the log where it ends. A torn last line is cut off, and that it was is recorded.

        Args:
            folder: Of its files; made on first use.
            store: Where the anchor is kept.
            keyring: Where its key is.
            most_file_bytes: A file that is longer is followed by another.
            clock: Tells the time.

        Raises:
            KeyringError: The log's key is not to be had.
            ConfigurationError: It cannot be written.
        """
        keyring.ensure(_OWNER, _EPOCH)
        super().__init__(folder, store, keyring)
        self._most_file_bytes, self._clock = most_file_bytes, clock
        self._lock = threading.Lock()
        self._number, self._chain = 0, chain.START
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_up()
        except (OSError, AuditUnavailableError) as error:
            raise ConfigurationError(f"{folder}: the audit log cannot be written: {error}") from error

    def record(self, entry: Mapping[str, object]) -> None:
        """Adds an entry. On return it survives a loss of power.

        Raises:
            AuditUnavailableError: It cannot be written.
        """
        at = self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            number = self._number + 1
            line, made = chain.seal(self._chain_key, self._chain, {"n": number, "at": at, **entry})
            try:
                self._append(line + b"\n")
                self._number, self._chain = number, made
                self._anchor()
            except (OSError, sqlite3.Error, SQLAlchemyError) as error:
                _log.error("the audit log cannot be written: %s", error)
                raise AuditUnavailableError("this must be recorded, and the audit log cannot be written") from error

    def _take_up(self) -> None:
        """Goes on after the last line, and after the number that the anchor has, whichever is later.

        Where lines are gone the numbers so leave a gap, for good.
        """
        found = files(self._folder)
        self._file = found[-1] if found else file_of(self._folder, 1)
        torn = _cut_torn_line(self._file)
        last = _last_line(found)
        self._number = max(last.number if last else 0, self.remembered().number)
        self._chain = last.chain if last else chain.START
        if torn:
            self.record({"event": "recovered", "bytes": torn})

    def _append(self, line: bytes) -> None:
        """Adds to the file, durably, or leaves it as it was."""
        file, size = _open(self._file)
        if size and size + len(line) > self._most_file_bytes:
            os.close(file)
            self._file = file_of(self._folder, self._number + 1)
            file, size = _open(self._file)
        try:
            try:
                if os.write(file, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fdatasync(file)
            except OSError:
                os.ftruncate(file, size)
                raise
        finally:
            os.close(file)
        if not size:
            _sync_folder(self._folder)

    def _anchor(self) -> None:
        mac = chain.anchor(self._anchor_key, self._number, self._chain)
        connection = self._store.raw_connection()  # past SQLAlchemy, which took most of the time of a line
        try:
            connection.cursor().execute(_PUT_ANCHOR, (self._number, mac))  # commits by itself
        finally:
            connection.close()


def _open(path: Path) -> tuple[int, int]:
    """The file, made on first use, to add to its end; and how long it is."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return file, os.fstat(file).st_size


def _cut_torn_line(path: Path) -> int:
    """Cuts off what stands after the last newline.

    Returns:
        How many bytes that were.
    """
    if not path.exists():
        return 0
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if torn := len(content) - whole:
        os.truncate(path, whole)
    return torn


def _last_line(found: list[Path]) -> Line | None:
    """The last line that is one."""
    for path in reversed(found):
        for line in reversed(path.read_bytes().splitlines()):
            if opened := open_line(line):
                return opened
    return None


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
