"""The tables belong to the server: it makes them, and knows when they are not its own."""

from __future__ import annotations

import pytest

from privacyplease.server import Limits, open_store
from privacyplease.server.errors import SchemaTooNewError, StartError
from privacyplease.server.schema import Migration, migrate
from privacyplease.server.sql import SqlStore
from tests.services.mariadb import MariaDB

SECOND = Migration(2, ["CREATE TABLE IF NOT EXISTS second (one INTEGER)"])
FIRST = Migration(1, ["CREATE TABLE IF NOT EXISTS first (one INTEGER)"])


@pytest.fixture
def store(storage_url: str) -> SqlStore:
    opened = open_store(storage_url, Limits(), connections=2)
    assert isinstance(opened, SqlStore)
    return opened


def test_an_open_database_opens_again(store: SqlStore, storage_url: str) -> None:
    store.close()
    assert open_store(storage_url, Limits()).describe().schema_version == 1


def test_a_newer_schema_is_refused_clearly(store: SqlStore, storage_url: str) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO schema_version (version) VALUES (7)")
    with pytest.raises(SchemaTooNewError, match="expected database schema version 1 or older, got 7"):
        open_store(storage_url, Limits())


def test_only_what_is_missing_is_applied_and_twice_does_no_harm(store: SqlStore) -> None:
    for _ in range(2):
        with store._engine.begin() as connection:
            assert migrate(connection, [FIRST, SECOND]) == 2
    with store._engine.connect() as connection:
        versions = connection.exec_driver_sql("SELECT version FROM schema_version ORDER BY version").scalars().all()
        assert versions == [1, 2]
        connection.exec_driver_sql("SELECT * FROM second")
        with pytest.raises(Exception, match="first"):  # version 1 was there already, as another migration
            connection.exec_driver_sql("SELECT * FROM first")


def test_a_database_that_cannot_take_the_largest_cell_is_refused(mariadb: MariaDB, mariadb_url: str) -> None:
    mariadb.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with pytest.raises(StartError, match="max_allowed_packet"):
            open_store(mariadb_url, Limits())
    finally:
        mariadb.execute("SET GLOBAL max_allowed_packet = 16777216")


def test_a_database_that_forgets_in_a_crash_is_warned_about(
    mariadb: MariaDB, mariadb_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        open_store(mariadb_url, Limits()).close()
    finally:
        mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert "innodb_flush_log_at_trx_commit is 2" in caplog.text
