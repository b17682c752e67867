"""The tables, and how a database gets from one version of them to the next.

The server creates and migrates its own tables when it starts. `schema_version` holds a row for each migration that was
applied; a database with a newer one than this server knows is refused rather than guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from privacyplease.server.errors import SchemaTooNewError


class Migration(NamedTuple):
    """One step between two versions.

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
    """
    connection.exec_driver_sql(_CREATE_VERSIONS)
    found = int(connection.exec_driver_sql(_NEWEST).scalar_one())
    known = migrations[-1].version
    if found > known:
        raise SchemaTooNewError(found=found, known=known)
    for migration in migrations:
        if migration.version > found:
            _apply(connection, migration)
    return known


def _apply(connection: Connection, migration: Migration) -> None:
    for statement in migration.statements:
        connection.exec_driver_sql(statement)
    # A server that started at the same time may have got here first.
    with suppress(IntegrityError):
        connection.exec_driver_sql(f"INSERT INTO schema_version (version) VALUES ({migration.version})")  # noqa: S608
