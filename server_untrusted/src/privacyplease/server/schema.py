"""The tables, and how a database gets from one version of them to the next.

The server creates and migrates its own tables when it starts. `schema_version` holds a row for each migration that was
applied; a database with a newer one than this server knows is refused rather than guessed at.

Version 1 kept several cells under a tag. There is no migration from it, since a cell's new tag takes the proxy's keys
to compute: such a database is refused, too, and left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import IntegrityError

from privacyplease.server.errors import SchemaTooNewError, SchemaTooOldError


class Migration(NamedTuple):
    """One step between two versions. The first one that a server knows makes its tables from nothing.

    MySQL commits each DDL statement on its own and two servers may start at once, so every statement must be safe to
    run twice: a migration that was cut off runs again from its start.
    """

    version: int
    statements: Sequence[str]


_CREATE_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY)"
_NEWEST = "SELECT COALESCE(MAX(version), 0) FROM schema_version"


def migrate(connection: Connection, migrations: Sequence[Migration]) -> int:
    """Brings the tables to the newest version known and returns it.

    Raises:
        SchemaTooNewError: the database was written by a newer server; nothing was changed.
        SchemaTooOldError: it was written by an earlier server, and no migration leads on from there; likewise.
    """
    connection.exec_driver_sql(_CREATE_VERSIONS)
    found = int(connection.exec_driver_sql(_NEWEST).scalar_one())
    known = migrations[-1].version
    if found > known:
        raise SchemaTooNewError(found=found, known=known)
    if 0 < found < migrations[0].version or _keeps_cells_by_id(connection):
        raise SchemaTooOldError(known=known)
    for migration in migrations:
        if migration.version > found:
            _apply(connection, migration)
    return known


def _keeps_cells_by_id(connection: Connection) -> bool:
    """Whether the table of version 1 is there, if only because its server was killed before it noted the version."""
    tables = inspect(connection)
    return tables.has_table("cells") and any(column["name"] == "cell_id" for column in tables.get_columns("cells"))


def _apply(connection: Connection, migration: Migration) -> None:
    for statement in migration.statements:
        connection.exec_driver_sql(statement)
    # A server that started at the same time may have got here first.
    with suppress(IntegrityError):
        connection.exec_driver_sql(f"INSERT INTO schema_version (version) VALUES ({migration.version})")  # noqa: S608
