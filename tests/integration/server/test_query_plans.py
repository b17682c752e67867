"""Every statement finds its rows by the primary key, whatever the size of the store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from privacyplease.storage.v1 import storage_service_pb2 as pb
from tests.services.cells import any_of, append, cell, select
from tests.services.mariadb import MariaDB
from tests.services.storage import Served, serving

CELLS = 30_000


@pytest.fixture(scope="module")
def full(mariadb: MariaDB) -> Iterator[tuple[Served, list[pb.Cell]]]:
    """A server over a table large enough to make the optimiser's choice matter."""
    url = mariadb.create_database("query_plans")
    cells = [cell(size=300) for _ in range(CELLS)]
    with serving(url) as served:
        for start in range(0, CELLS, 10_000):
            append(served.stub, *cells[start : start + 10_000])
        mariadb.execute("ANALYZE TABLE cells", "query_plans")
        yield served, cells
    mariadb.drop_database("query_plans")


@contextmanager
def recorded(engine: Engine) -> Iterator[list[str]]:
    """The statements on `cells` that the server sends during the block."""
    statements: list[str] = []

    def record(_: object, __: object, statement: str, *___: object) -> None:
        if " cells " in statement and "information_schema" not in statement:
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", record)
    yield statements
    event.remove(engine, "before_cursor_execute", record)


def use(served: Served, cells: list[pb.Cell]) -> None:
    """Every call of the contract, over many tags and over one."""
    for sample in (random.sample(cells, 2_100), random.sample(cells, 1)):
        tags = [one.tag for one in sample]
        for page in served.stub.Select(pb.SelectRequest(predicate=any_of(tags), page_bytes=1)):
            list(served.stub.Select(pb.SelectRequest(predicate=any_of(tags), cursor=page.cursor)))
        served.stub.Measure(pb.MeasureRequest(predicate=any_of(tags)))
        served.stub.Delete(pb.DeleteRequest(predicate=any_of(tags)))
        append(served.stub, *sample)


def test_every_statement_uses_the_primary_key(full: tuple[Served, list[pb.Cell]], mariadb: MariaDB) -> None:
    served, cells = full
    with recorded(served.store._engine) as statements:
        use(served, cells)
    kinds = {statement.split()[0] for statement in statements}
    assert kinds == {"SELECT", "INSERT", "DELETE"}
    for statement in statements:
        if not statement.startswith("INSERT"):
            assert_by_primary_key(mariadb, statement)


def assert_by_primary_key(mariadb: MariaDB, statement: str) -> None:
    plan = mariadb.execute(f"EXPLAIN {statement}", "query_plans")
    assert len(plan) == 1, plan
    _, select_type, table, access, _, key, _, _, rows, extra = plan[0]
    assert (select_type, table, key) == ("SIMPLE", "cells", "PRIMARY"), plan
    # These access types look up only the keys that the statement names; `index` and `ALL` would scan the table.
    assert access in ("range", "ref", "const"), plan
    assert int(str(rows)) <= 1_500, plan
    assert "filesort" not in str(extra), plan
    assert "temporary" not in str(extra), plan


def test_sqlite_searches_its_index_and_sorts_nothing(sqlite_url: str) -> None:
    cells = [cell(size=300) for _ in range(3_000)]
    with serving(sqlite_url) as served:
        append(served.stub, *cells)
        with recorded(served.store._engine) as statements:
            use(served, cells)
        with served.store._engine.connect() as connection:
            for statement in statements:
                if statement.startswith("INSERT"):
                    continue
                steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]
                assert not [step for step in steps if step.startswith("SCAN") or "TEMP B-TREE" in step]
        assert len(select(served.stub, *[one.tag for one in cells])) == 3_000
