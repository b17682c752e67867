"""The server creates and migrates its tables, and refuses those of other versions."""

from __future__ import annotations

import pytest

from privacyplease.server import Limits, open_store
from privacyplease.server.errors import SchemaTooNewError, SchemaTooOldError, StartError
from privacyplease.server.schema import Migration, migrate
from privacyplease.server.sql import SqlStore
from tests.services.mariadb import MariaDB

SECOND = Migration(2, ["CREATE TABLE IF NOT EXISTS second (one INTEGER)"])
THIRD = Migration(3, ["CREATE TABLE IF NOT EXISTS third (one INTEGER)"])
# The table of version 1, which kept several cells under a tag.
CELLS_BY_ID = (
    "CREATE TABLE cells (tag BINARY(16) NOT NULL, cell_id BINARY(16) NOT NULL, sealed_bytes INTEGER NOT NULL,"
    " sealed BLOB NOT NULL, PRIMARY KEY (tag, cell_id))"
)


@pytest.fixture
def store(storage_url: str) -> SqlStore:
    opened = open_store(storage_url, Limits(), connections=2)
    assert isinstance(opened, SqlStore)
    return opened


def test_a_database_can_be_opened_again(store: SqlStore, storage_url: str) -> None:
    store.close()
    assert open_store(storage_url, Limits()).describe().schema_version == 2


def test_a_newer_schema_is_refused_with_both_versions(store: SqlStore, storage_url: str) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO schema_version (version) VALUES (7)")
    with pytest.raises(SchemaTooNewError, match="expected database schema version 2 or older, got 7"):
        open_store(storage_url, Limits())


def test_only_missing_migrations_are_applied_and_running_twice_is_safe(store: SqlStore) -> None:
    for _ in range(2):
        with store._engine.begin() as connection:
            assert migrate(connection, [SECOND, THIRD]) == 3
    with store._engine.connect() as connection:
        versions = connection.exec_driver_sql("SELECT version FROM schema_version ORDER BY version").scalars().all()
        assert versions == [2, 3]
        connection.exec_driver_sql("SELECT * FROM third")
        with pytest.raises(Exception, match="second"):  # version 2 was there already, as another migration
            connection.exec_driver_sql("SELECT * FROM second")


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "killed before it was recorded"])
def test_a_database_of_an_earlier_version_is_refused_and_left_as_it_is(
    store: SqlStore, storage_url: str, recorded: bool
) -> None:
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE cells")
        connection.exec_driver_sql("DELETE FROM schema_version")
        connection.exec_driver_sql(CELLS_BY_ID)
        connection.exec_driver_sql("INSERT INTO cells VALUES ('0123456789abcdef', '0123456789abcdef', 1, 'x')")
        if recorded:
            connection.exec_driver_sql("INSERT INTO schema_version (version) VALUES (1)")
    with pytest.raises(SchemaTooOldError, match="ingest its records again"):
        open_store(storage_url, Limits())
    with store._engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(cell_id) FROM cells").scalar_one() == 1
        versions = connection.exec_driver_sql("SELECT version FROM schema_version").scalars().all()
        assert versions == ([1] if recorded else [])


def test_a_database_with_packets_too_small_for_the_largest_cell_is_refused(mariadb: MariaDB, mariadb_url: str) -> None:
    mariadb.execute("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with pytest.raises(StartError, match="max_allowed_packet"):
            open_store(mariadb_url, Limits())
    finally:
        mariadb.execute("SET GLOBAL max_allowed_packet = 16777216")


def test_a_database_that_may_lose_commits_in_a_crash_causes_a_warning(
    mariadb: MariaDB, mariadb_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        open_store(mariadb_url, Limits()).close()
    finally:
        mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert "innodb_flush_log_at_trx_commit is 2" in caplog.text
