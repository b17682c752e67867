"""Cells in one SQLite file: the embedded store."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from privacyplease.server.cells import Cell
from privacyplease.server.errors import StartError
from privacyplease.server.schema import Migration
from privacyplease.server.sql import SqlStore, error_code
from privacyplease.server.store import Size

# A rowid table with an index on the tag, not WITHOUT ROWID: that would put rows into the index's own B-tree, inner
# nodes included, and SQLite advises it only for rows below a twentieth of a page (sqlite.org/withoutrowid.html). A cell
# is larger. In a rowid table new cells also go to the end of the file, whatever their tag. `sealed` is the last column,
# so that measuring never follows a large cell's overflow pages.
MIGRATIONS = (
    Migration(
        2,
        [
            "CREATE TABLE IF NOT EXISTS cells ("
            " tag BLOB NOT NULL PRIMARY KEY,"
            " sealed_bytes INTEGER NOT NULL,"
            " sealed BLOB NOT NULL)"
        ],
    ),
)

_INSERT = "INSERT INTO cells (tag, sealed_bytes, sealed) VALUES (?, ?, ?) ON CONFLICT (tag) DO NOTHING"
_BUSY_SECONDS = 30

# Primary result codes (sqlite.org/rescode.html); extended codes have them in their low byte.
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
    }
)


# The second: the shared memory of WAL mode, a file beside the database, cannot be enlarged.
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})


class SqliteStore(SqlStore):
    """Cells in an SQLite file in WAL mode: one writer at a time, with concurrent readers."""

    def __init__(self, url: URL, connections: int) -> None:
        """Opens the file, and creates it if it does not exist.

        Args:
            url: `sqlite:///path`.
            connections: How many connections to keep open.

        Raises:
            StartError: The URL does not name a file.
            StoreUnavailableError: The file cannot be opened.
        """
        if not url.database or url.database == ":memory:":
            raise StartError("expected sqlite:///PATH, got a database in memory, which would not keep any cells")
        self._folder = Path(url.database).absolute().parent
        engine = create_engine(
            url,
            pool_size=connections,
            max_overflow=0,
            hide_parameters=True,
            # A transaction takes the write lock when it begins: one that begins with a read cannot wait for it later.
            connect_args={"timeout": _BUSY_SECONDS, "isolation_level": "IMMEDIATE", "check_same_thread": False},
        )
        event.listen(engine, "connect", _configure)
        super().__init__(engine, MIGRATIONS)

    def free_bytes(self) -> float:
        """See `Store.free_bytes`."""
        return shutil.disk_usage(self._folder).free

    def _insert(self, connection: Connection, cells: Sequence[Cell]) -> None:
        if cells:
            rows = [(cell.tag, len(cell.sealed), cell.sealed) for cell in cells]
            connection.exec_driver_sql(_INSERT, rows)

    def _database(self, connection: Connection) -> str:
        return f"sqlite {sqlite3.sqlite_version}"

    def _size(self, connection: Connection) -> Size:
        # The newest rowid counts deleted cells as well: an estimate, but of constant cost, which COUNT(*) is not.
        cells = connection.exec_driver_sql("SELECT COALESCE(MAX(rowid), 0) FROM cells").scalar_one()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        page_bytes = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return Size(int(cells), int(pages) * int(page_bytes))

    def _lost_to_another(self, error: DBAPIError) -> bool:
        return False  # a writer waits for its predecessor, or runs into the busy timeout

    def _full(self, error: DBAPIError) -> bool:
        return error_code(error) in _FULL

    def _unavailable(self, error: DBAPIError) -> bool:
        return (error_code(error) or 0) & 0xFF in _UNAVAILABLE


def _configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # durable at commit; NORMAL may lose the last ones in a power cut
