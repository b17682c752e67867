"""A store in an SQL database of any kind.

`MySqlStore` and `SqliteStore` define how their database writes cells, how it describes itself, and what its errors
mean. Everything else is here, in hand-written SQL: SQLAlchemy provides connections (pool, reconnect, URLs), not
statements.
"""

from __future__ import annotations

import logging
import math
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
"""How many times a write is tried if it keeps losing to other transactions (a deadlock)."""

_BUFFERED_ROWS = 4
"""Rows that a stream may hold in memory; this times the largest cell bounds the memory of one call."""


class SqlStore(ABC):
    """Keeps cells in the table `cells`, whose primary key is the tag."""

    def __init__(self, engine: Engine, migrations: Sequence[schema.Migration]) -> None:
        """Opens the database and migrates its tables.

        Raises:
            SchemaTooNewError: The database was written by a newer server.
            SchemaTooOldError: The database was written by an earlier server, which kept several cells under a tag.
            StoreUnavailableError: The database is unavailable.
        """
        self._engine = engine
        self.schema_version = self._write(lambda connection: schema.migrate(connection, migrations))

    def append(self, cells: Sequence[Cell]) -> None:
        """See `Store.append`."""
        self._write(lambda connection: self._insert(connection, cells))

    def select(self, tags: Tags) -> Iterator[Cell]:
        """See `Store.select`."""
        with self._reading() as connection:
            streamed = connection.execution_options(stream_results=True, max_row_buffer=_BUFFERED_ROWS)
            try:
                for statement in statements.select(tags):
                    yield from map(Cell._make, streamed.exec_driver_sql(statement))
            except GeneratorExit:
                # The caller left in the middle of a result. MySQL's protocol cannot stop one: close the connection
                # rather than read the rest for no one.
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
        return cast(QueuePool, self._engine.pool).checkedout()  # both kinds of store use one

    def free_bytes(self) -> float:
        """See `Store.free_bytes`."""
        return math.nan

    def close(self) -> None:
        """See `Store.close`."""
        self._engine.dispose()

    @abstractmethod
    def _insert(self, connection: Connection, cells: Sequence[Cell]) -> None:
        """Writes cells; one whose tag is already stored is left as it is, and no other error is suppressed."""

    @abstractmethod
    def _database(self, connection: Connection) -> str:
        """The name and version of the database."""

    @abstractmethod
    def _size(self, connection: Connection) -> Size:
        """The database's own estimate of the store's size."""

    @abstractmethod
    def _lost_to_another(self, error: DBAPIError) -> bool:
        """Whether the database rolled a transaction back in favour of another."""

    @abstractmethod
    def _full(self, error: DBAPIError) -> bool:
        """Whether an error means that there is no room on the database's disk."""

    @abstractmethod
    def _unavailable(self, error: DBAPIError) -> bool:
        """Whether an error means that the database is unavailable now, and may be available later."""

    def _write(self, work: Callable[[Connection], _T]) -> _T:
        """Runs work as one transaction, and again from the start if it loses to another one."""
        with self._wrapped():
            for attempt in range(1, _ATTEMPTS):
                try:
                    return self._transaction(work)
                except DBAPIError as error:
                    if not self._lost_to_another(error):
                        raise
                    _log.info(
                        "a transaction was rolled back in favour of another; attempt %d of %d", attempt, _ATTEMPTS
                    )
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

        The cause is dropped deliberately: its message quotes the statement, and statements hold tags.
        """
        try:
            yield
        except PoolTimeoutError:
            raise StoreUnavailableError("all connections to the database are in use") from None
        except DBAPIError as error:
            if self._full(error):
                raise StoreUnavailableError("the disk of the database is full", full=1) from None
            if error.connection_invalidated or self._unavailable(error) or self._lost_to_another(error):
                raise StoreUnavailableError(f"the database is unavailable ({error_name(error)})") from None
            raise


def error_code(error: DBAPIError) -> int | None:
    """The database's number for an error, if it has one."""
    code = getattr(error.orig, "sqlite_errorcode", None) or next(iter(getattr(error.orig, "args", ())), None)
    return code if isinstance(code, int) else None


def error_name(error: DBAPIError) -> str:
    """A description of an error that does not quote its statement."""
    return f"{type(error.orig).__name__} {error_code(error)}"


def _changed(connection: Connection, written: Iterator[str]) -> int:
    return sum(connection.exec_driver_sql(statement).rowcount for statement in written)
