"""Writes that lose to another transaction are retried; the caller sees an error only if the database stays busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest

from tests.services.cells import append, cell, refusal, select
from tests.services.mariadb import MariaDB
from tests.services.storage import Served, serving


@pytest.fixture
def hasty(mariadb: MariaDB, mariadb_url: str) -> Iterator[Served]:
    """A server whose database waits one second for a lock, not fifty."""
    mariadb.execute("SET GLOBAL innodb_lock_wait_timeout = 1")
    try:
        with serving(mariadb_url) as served:
            yield served
    finally:
        mariadb.execute("SET GLOBAL innodb_lock_wait_timeout = 50")


def lock_rows(mariadb: MariaDB, mariadb_url: str, seconds: float) -> threading.Thread:
    """Locks every row for a time, from another connection."""
    connection = mariadb.connect(mariadb_url.rsplit("/", 1)[1])
    connection.begin()
    with connection.cursor() as cursor:
        cursor.execute("SELECT tag FROM cells FOR UPDATE")
    releasing = threading.Timer(seconds, connection.close)
    releasing.start()
    return releasing


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_write_waits_for_the_lock_of_another_transaction(
    hasty: Served, mariadb: MariaDB, mariadb_url: str, size: int
) -> None:
    stored, fresh = cell(size=size), cell(size=size)
    append(hasty.stub, stored)
    releasing = lock_rows(mariadb, mariadb_url, seconds=2.5)
    assert append(hasty.stub, stored, fresh) == 2
    releasing.join()
    assert select(hasty.stub, fresh.tag) == [fresh]


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_lock_that_is_never_released_makes_the_store_unavailable(
    hasty: Served, mariadb: MariaDB, mariadb_url: str, size: int
) -> None:
    stored, fresh = cell(size=size), cell(size=size)
    append(hasty.stub, stored)
    releasing = lock_rows(mariadb, mariadb_url, seconds=8)
    with pytest.raises(grpc.RpcError) as caught:
        append(hasty.stub, stored, fresh)
    assert refusal(caught.value)[1].reason == "ERROR_REASON_STORE_UNAVAILABLE"
    assert select(hasty.stub, fresh.tag) == []
    releasing.join()
