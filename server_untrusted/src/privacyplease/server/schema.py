"""The tables, and how a database is migrated from one version of them to the next.

The server creates and migrates its own tables when it starts. `schema_version` has one row per migration that was
applied; a database with a newer version than this server knows is refused.

Version 1 kept several cells under a tag. There is no migration from it, since a cell's new tag can only be computed
with the proxy's keys: such a database is refused as well, and left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import IntegrityError

from privacyplease.server.errors import SchemaTooNewError, SchemaTooOldError


class Migration(NamedTuple):
    """One step between two versions. The first migration that a server knows creates its tables.

    MySQL commits each DDL statement on its own and two servers may start at once, so every statement must be safe to
    run twice: an interrupted migration runs again from its start.
    """

    version: int
    statements: Sequence[str]


_CREATE_VERSIONS = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL PRIMARY KEY)"
_NEWEST = "SELECT COALESCE(MAX(version), 0) FROM schema_version"


def migrate(connection: Connection, migrations: Sequence[Migration]) -> int:
    """Brings the tables to the newest known version and returns it.

    Raises:
        SchemaTooNewError: The database was written by a newer server; nothing was changed.
        SchemaTooOldError: It was written by an earlier server, and there is no migration from its version; likewise.
    """
    connection.exec_driver_sql(_CREATE_VERSIONS)
    current = int(connection.exec_driver_sql(_NEWEST).scalar_one())
    known = migrations[-1].version
    if current > known:
        raise SchemaTooNewError(current=current, known=known)
    if 0 < current < migrations[0].version or _keeps_cells_by_id(connection):
        raise SchemaTooOldError(known=known)
    for migration in migrations:
        if migration.version > current:
            _apply(connection, migration)
    return known


def _keeps_cells_by_id(connection: Connection) -> bool:
    """Whether the table of version 1 exists, perhaps because its server was killed before it recorded the version."""
    tables = inspect(connection)
    return tables.has_table("cells") and any(column["name"] == "cell_id" for column in tables.get_columns("cells"))


def _apply(connection: Connection, migration: Migration) -> None:
    for statement in migration.statements:
        connection.exec_driver_sql(statement)
    # A server that started at the same time may have done this first.
    with suppress(IntegrityError):
        connection.exec_driver_sql(f"INSERT INTO schema_version (version) VALUES ({migration.version})")  # noqa: S608
