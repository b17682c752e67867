"""Binding the bytes of large cells leaves no prepared statement in the database, however it ends."""

from __future__ import annotations

import pymysql
import pytest

from privacyplease.server.binding import BindingCursor
from tests.services.cells import append, cell, select
from tests.services.mariadb import MariaDB
from tests.services.storage import serving

LARGE = 100_000


def prepared(mariadb: MariaDB) -> int:
    """How many prepared statements the database holds."""
    ((_, number),) = mariadb.execute("SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'")
    return int(str(number))


def test_an_append_leaves_no_prepared_statement(mariadb: MariaDB, mariadb_url: str) -> None:
    before = prepared(mariadb)
    with serving(mariadb_url) as served:
        for _ in range(3):
            cells = [cell(size=LARGE), cell(), cell(size=LARGE)]
            append(served.stub, *cells)
            assert len(select(served.stub, *[one.tag for one in cells])) == 3
        assert prepared(mariadb) == before


def test_a_failed_statement_is_closed_and_its_connection_stays_usable(mariadb: MariaDB, mariadb_url: str) -> None:
    database = mariadb_url.rsplit("/", 1)[1]
    mariadb.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, bytes MEDIUMBLOB)", database)
    before = prepared(mariadb)
    with mariadb.connect(database) as connection, connection.cursor(BindingCursor) as cursor:
        with pytest.raises(pymysql.err.IntegrityError, match="Duplicate entry"):
            cursor.executemany("INSERT INTO numbers VALUES (?, ?)", [(-1, b""), (2, bytes(LARGE)), (2, b"again")])
        with pytest.raises(pymysql.err.ProgrammingError):
            cursor.execute("INSERT INTO nowhere VALUES (?)", (1,))
        cursor.execute("SELECT number, LENGTH(bytes) FROM numbers ORDER BY number")
        assert cursor.fetchall() == ((-1, 0), (2, LARGE))
        assert prepared(mariadb) == before
