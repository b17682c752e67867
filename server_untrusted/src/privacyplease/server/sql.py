"""A store in an SQL database, whichever it is.

`MySqlStore` and `SqliteStore` say how their database writes cells, what it knows of itself, and which of its errors
mean what. All the rest is here, and is hand-written SQL: SQLAlchemy gives connections (pool, reconnect, URLs), not
statements.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from privacyplease.server import schema, statements
from privacyplease.server.cells import Cell, Tags
from privacyplease.server.errors import StoreUnavailableError
from privacyplease.server.store import Description, Size

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_ATTEMPTS = 5
"""How often a write is tried when the database gives up on it in favour of another (a deadlock)."""

_ROWS_AHEAD = 4
"""Rows that a stream may hold in memory; times the largest cell, this bounds what one call takes."""


class SqlStore(ABC):
    """Keeps cells in the table `cells`, by its primary key, the tag."""

    def __init__(self, engine: Engine, migrations: Sequence[schema.Migration]) -> None:
        """Opens the database and brings its tables up to date.

        Raises:
            SchemaTooNewError: the database was written by a newer server.
            SchemaTooOldError: the database was written by an earlier one, which kept several cells under a tag.
            StoreUnavailableError: the database is unavailable.
        """
        self._engine = engine
        self.schema_version = self._write(lambda connection: schema.migrate(connection, migrations))

    def append(self, cells: Sequence[Cell]) -> None:
        """See `Store.append`."""
        self._write(lambda connection: self._insert(connection, cells))

    def select(self, tags: Tags) -> Iterator[Cell]:
        """See `Store.select`."""
        with self._reading() as connection:
            streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AHEAD)
            try:
                for statement in statements.select(tags):
                    yield from map(Cell._make, streamed.exec_driver_sql(statement))
            except GeneratorExit:
                # The caller went away in the middle of a result. MySQL's protocol has no way to stop one: close the
                # connection rather than read to the end what nobody waits for.
                connection.invalidate()
                raise

    def measure(self, tags: Tags) -> Size:
        """See `Store.measure`."""
        with self._reading() as connection:
            sizes = [connection.exec_driver_sql(statement).one() for statement in statements.measure(tags)]
        return Size(cells=sum(int(cells) for cells, _ in sizes), bytes=sum(int(total) for _, total in sizes))

    def delete(self, tags: Tags) -> int:
        """See `Store.delete`."""
        return self._write(lambda connection: _changed(connection, statements.delete(tags)))

    def describe(self) -> Description:
        """See `Store.describe`."""
        with self._reading() as connection:
            return Description(self.schema_version, self._database(connection), self._size(connection))

    def connections(self) -> int:
        """See `Store.connections`."""
        return cast(QueuePool, self._engine.pool).checkedout()  # what either store is made with

    def close(self) -> None:
        """See `Store.close`."""
        self._engine.dispose()

    @abstractmethod
    def _insert(self, connection: Connection, cells: Sequence[Cell]) -> None:
        """Writes cells; one whose tag is already stored is left as it is, and no other error is passed over."""

    @abstractmethod
    def _database(self, connection: Connection) -> str:
        """The database and its version."""

    @abstractmethod
    def _size(self, connection: Connection) -> Size:
        """The database's own estimate of what it holds."""

    @abstractmethod
    def _lost_to_another(self, error: DBAPIError) -> bool:
        """Whether the database rolled a transaction back so that another could go on."""

    @abstractmethod
    def _unavailable(self, error: DBAPIError) -> bool:
        """Whether an error means that the database cannot serve now, and may later."""

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        """Runs work as one transaction, again from its start if it lost to another one."""
        with self._wrapped():
            for attempt in range(1, _ATTEMPTS):
                try:
                    return self._transaction(work)
                except DBAPIError as error:
                    if not self._lost_to_another(error):
                        raise
                    _log.info("a transaction lost to another one; attempt %d of %d", attempt, _ATTEMPTS)
            return self._transaction(work)

    def _transaction(self, work: Callable[[Connection], _T]) -> _T:
        with self._engine.begin() as connection:
            return work(connection)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._wrapped(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _wrapped(self) -> Iterator[None]:
        """The one place where a database's error becomes one of this server's.

        The cause is dropped on purpose: its message quotes the statement, and statements hold tags.
        """
        try:
            yield
        except PoolTimeoutError:
            raise StoreUnavailableError("all connections to the database are busy") from None
        except DBAPIError as error:
            if error.connection_invalidated or self._unavailable(error) or self._lost_to_another(error):
                raise StoreUnavailableError(f"the database is unavailable ({error_name(error)})") from None
            raise


def error_code(error: DBAPIError) -> int | None:
    """The number that the database gave an error, if it did."""
    code = getattr(error.orig, "sqlite_errorcode", None) or next(iter(getattr(error.orig, "args", ())), None)
    return code if isinstance(code, int) else None


def error_name(error: DBAPIError) -> str:
    """An error in words that quote no statement."""
    return f"{type(error.orig).__name__} {error_code(error)}"


def _changed(connection: Connection, written: Iterator[str]) -> int:
    return sum(connection.exec_driver_sql(statement).rowcount for statement in written)
