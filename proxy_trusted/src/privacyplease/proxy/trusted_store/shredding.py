"""Makes sure that what was deleted from the trusted store is gone from its files.

SQLite overwrites what it deletes (`secure_delete`), but earlier pages stay in its write-ahead log until a checkpoint
has copied the log into the file and truncated it. A reader, such as a copy that is being made, keeps it from doing so.
Copies that the file system, a snapshot or a backup has made before are out of reach (`docs/KEYS.md`).
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

# How long the checkpoint waits for readers; it is tried again later.
_WAIT_MS = 1_000
_FILES = ("", "-wal", "-journal")


def is_gone(store: Engine, deleted: Sequence[bytes]) -> bool:
    """Whether nothing of what was deleted is left in the files of a store.

    Args:
        store: The store. A database that other proxies share has no files here.
        deleted: Values that were deleted in transactions that have ended.
    """
    if store.dialect.name != "sqlite" or store.url.database is None:
        return True
    return _truncates_log(store) and not any(_holds(Path(store.url.database + name), deleted) for name in _FILES)


def _truncates_log(store: Engine) -> bool:
    """Whether the write-ahead log was copied into the file as a whole, and truncated."""
    connection = store.raw_connection()
    try:
        cursor = connection.cursor()
        (before,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {before}")
    finally:
        connection.close()  # back to the pool
    return not busy


def _holds(file: Path, deleted: Sequence[bytes]) -> bool:
    if not file.exists() or not file.stat().st_size:
        return False
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(value) >= 0 for value in deleted)
