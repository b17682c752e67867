"""Cells in MySQL 8, MariaDB 10.11+ or a compatible database (TiDB, Vitess)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError

from privacyplease.server.binding import BindingCursor
from privacyplease.server.cells import Cell
from privacyplease.server.errors import StartError
from privacyplease.server.limits import MIB, Limits
from privacyplease.server.schema import Migration
from privacyplease.server.sql import SqlStore, error_code
from privacyplease.server.statements import literal
from privacyplease.server.store import Size

_log = logging.getLogger(__name__)

MIGRATIONS = (
    Migration(
        2,
        [
            "CREATE TABLE IF NOT EXISTS cells ("
            " tag BINARY(16) NOT NULL PRIMARY KEY,"
            " sealed_bytes INTEGER NOT NULL,"
            " sealed MEDIUMBLOB NOT NULL)"
        ],
    ),
)

_INSERT = "INSERT INTO cells (tag, sealed_bytes, sealed) VALUES "
_ONE_BOUND = "(?, ?, ?)"
# Leaves a stored cell as it is. Not INSERT IGNORE, which also turns every other error into a warning. Not the tag set
# to itself, because Vitess does not update the column that it shards by.
_UNLESS_STORED = " ON DUPLICATE KEY UPDATE sealed_bytes = cells.sealed_bytes"

_STATEMENT_BYTES = 1 * MIB
"""Measured on MariaDB 10.11: 0.25, 1 and 4 MiB are equally fast. A call holds one statement in memory at a time."""

_LITERAL_BYTES = 8 << 10
"""Cells up to this size are sent as literals, many per statement. Larger ones are bound (`binding`): that costs a round
trip per cell, which takes less time than the database needs to read such a literal."""

_PACKET_HEAD_BYTES = 1 << 10  # of the packet that binds one cell, with room to spare

_CONNECT_SECONDS = 5
_READ_SECONDS = 120  # longer than innodb_lock_wait_timeout (50 s), so that the database gives up first

# Server error numbers: https://mariadb.com/kb/en/mariadb-error-code-reference/
_LOCK_WAIT_TIMEOUT, _DEADLOCK = 1205, 1213
_FULL = frozenset(
    {
        1021,  # disk full
        1114,  # table is full
    }
)
_UNAVAILABLE = frozenset(
    {
        1040,  # too many connections
        1053,  # shutdown in progress
        1203,  # too many connections of this user
        1290,  # read-only, as during a failover
        1836,  # read-only, likewise
        1927,  # connection killed
        2002,  # cannot connect through the socket
        2003,  # cannot connect
        2006,  # server has gone away
        2013,  # connection lost
        2055,  # connection lost
    }
)

_SIZE = (
    "SELECT COALESCE(SUM(table_rows), 0), COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = 'cells'"
)


class MySqlStore(SqlStore):
    """Cells in an InnoDB table, stored in the order of its primary key, the tag."""

    def __init__(self, url: URL, limits: Limits, connections: int) -> None:
        """Opens the database.

        Args:
            url: `mysql://user:password@host:port/database`, optionally with `?ssl_ca=…` or `?unix_socket=…`.
            limits: The bounds of one call, for which the database must be set up.
            connections: How many connections to keep open.

        Raises:
            StartError: The database is not set up to accept the largest cell.
            StoreUnavailableError: The database is unavailable.
        """
        engine = create_engine(
            url.set(drivername="mysql+pymysql"),
            # Each statement sees what was committed when it began; no gap locks, hence few deadlocks.
            isolation_level="READ COMMITTED",
            pool_size=connections,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"charset": "utf8mb4", "cursorclass": BindingCursor} | _timeouts(url),
            execution_options={"no_parameters": True},
        )
        try:
            super().__init__(engine, MIGRATIONS)
        except RuntimeError as error:
            if "cryptography" not in str(error):
                raise
            # PyMySQL would have to encrypt the password itself, with a library that this machine must not have.
            raise StartError(
                "the database asks for a password over a plain connection: add ?ssl_ca= or ?unix_socket= to its URL"
            ) from None
        with self._reading() as connection:
            _check_packets(connection, limits)
            _check_durable(connection)

    def _insert(self, connection: Connection, cells: Sequence[Cell]) -> None:
        for large, run in groupby(cells, _is_large):
            if large:
                rows = [(cell.tag, len(cell.sealed), cell.sealed) for cell in run]
                connection.exec_driver_sql(_INSERT + _ONE_BOUND + _UNLESS_STORED, rows)
            else:
                for statement in inserts(run):
                    connection.exec_driver_sql(statement)

    def _database(self, connection: Connection) -> str:
        return product(str(connection.exec_driver_sql("SELECT VERSION()").scalar_one()))

    def _size(self, connection: Connection) -> Size:
        cells, stored = connection.exec_driver_sql(_SIZE).one()
        return Size(int(cells), int(stored))

    def _lost_to_another(self, error: DBAPIError) -> bool:
        return error_code(error) in (_LOCK_WAIT_TIMEOUT, _DEADLOCK)

    def _full(self, error: DBAPIError) -> bool:
        return error_code(error) in _FULL

    def _unavailable(self, error: DBAPIError) -> bool:
        return error_code(error) in _UNAVAILABLE


def inserts(cells: Iterable[Cell]) -> Iterator[str]:
    """Statements of bounded size that store cells as literals."""
    rows: list[str] = []
    size = 0
    for cell in cells:
        rows.append(_row(cell))
        size += len(rows[-1])
        if size >= _STATEMENT_BYTES:
            yield _INSERT + ",".join(rows) + _UNLESS_STORED
            rows, size = [], 0
    if rows:
        yield _INSERT + ",".join(rows) + _UNLESS_STORED


def product(version: str) -> str:
    """The name and version of a database, from what VERSION() returns.

    >>> product("10.11.6-MariaDB-0+deb12u1"), product("8.0.36"), product("8.0.11-TiDB-v7.5.0")
    ('mariadb 10.11.6', 'mysql 8.0.36', 'tidb 7.5.0')
    """
    if tidb := re.search(r"TiDB-v([\d.]+)", version):
        return f"tidb {tidb[1]}"
    name = "mariadb" if "mariadb" in version.lower() else "mysql"
    return f"{name} {version.split('-')[0]}"


def _is_large(cell: Cell) -> bool:
    return len(cell.sealed) > _LITERAL_BYTES


def _row(cell: Cell) -> str:
    return f"({literal(cell.tag)},{len(cell.sealed)},{literal(cell.sealed)})"


def _timeouts(url: URL) -> dict[str, int]:
    """How long to wait for a host that does not respond; the URL may set its own timeouts."""
    bounds = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS, "write_timeout": _READ_SECONDS}
    return {name: seconds for name, seconds in bounds.items() if name not in url.query}


def _check_packets(connection: Connection, limits: Limits) -> None:
    allowed = int(connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one())
    needed = max(limits.max_cell_bytes + _PACKET_HEAD_BYTES, 2 * _STATEMENT_BYTES)
    if allowed < needed:
        raise StartError(
            f"expected the database's max_allowed_packet to be at least {needed:,}, got {allowed:,}: "
            "raise it, or lower max_cell_bytes"
        )


def _check_durable(connection: Connection) -> None:
    flush = connection.exec_driver_sql("SHOW VARIABLES LIKE 'innodb_flush_log_at_trx_commit'").first()
    if flush is not None and flush[1] != "1":
        _log.warning(
            "innodb_flush_log_at_trx_commit is %s, expected 1: a crash may lose cells that were acknowledged", flush[1]
        )
