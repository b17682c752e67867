"""Fixtures that tests of several zones share: real databases, started for the run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import settings

# `tests` is a namespace of the repository, not an installed package: importable however pytest was started.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.services import mariadb as mariadb_service
from tests.services.existing_database import fresh_database
from tests.services.fixtures_kafka import kafka, kafka_topic, topics  # noqa: F401 (fixtures)
from tests.services.fixtures_spark import spark  # noqa: F401 (a fixture)
from tests.services.mariadb import MariaDB

# A busy machine is slow, and that is no fault of what is tested: performance lives in benchmarks.
settings.register_profile("untimed", deadline=None)
# A tenth of the examples of each property: what `make unit` tries. CI tries all.
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "untimed"))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A private MariaDB for the whole run. Whoever kills it restarts it."""
    if not mariadb_service.installed():
        missing = "expected mariadbd and mariadb-install-db (apt-get install mariadb-server), got none"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with MariaDB() as database:
        yield database


@pytest.fixture(scope="session")
def mariadb_database(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[str]]:
    """Makes empty MariaDB databases, on the server that `STORAGE_URL` names or on the private one."""

    @contextmanager
    def database() -> Iterator[str]:
        name = f"cells_{uuid4().hex}"
        if server := os.environ.get("STORAGE_URL"):
            with fresh_database(server, name) as url:
                yield url
            return
        mariadb: MariaDB = request.getfixturevalue("mariadb")
        yield mariadb.create_database(name)
        mariadb.drop_database(name)

    return database


@pytest.fixture
def mariadb_url(mariadb_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The storage URL of an empty MariaDB database."""
    with mariadb_database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The storage URL of an empty SQLite file."""
    return f"sqlite:///{tmp_path / 'cells.db'}"


@pytest.fixture(params=["sqlite", "mariadb"])
def storage_url(request: pytest.FixtureRequest) -> str:
    """The storage URL of an empty database, once for each kind of store."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
