"""The proxy's own store: what it must remember and the untrusted server must not know.

Wrapped data keys, and the manifest: which segments there are, and which cells the server must have. A SQLite file by
default; a MySQL or MariaDB database if several proxies are to share one. Nothing in it is secret without the master key
except names of data sets and columns; yet it belongs to the trusted domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pymysql.constants import CR, ER
from pymysql.err import InterfaceError, OperationalError
from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.trusted_store.tables import data_keys, metadata, writers
from privacyplease.proxy.trusted_store.upsert import inserted_once

_DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}
_CONNECTIONS = 16
_AWAY = (
    CR.CR_CONNECTION_ERROR,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    ER.CON_COUNT_ERROR,
    ER.SERVER_SHUTDOWN,
)
_ATTEMPTS = 5


def open_url(url: str) -> Engine:
    """Opens a store that several proxies may share; its tables are made on first use.

    Args:
        url: As "mysql://user:password@host/database"; "mariadb:" and "sqlite:" begin one, too. PyMySQL takes what
            stands behind a "?", as "ssl_ca=ca.pem".

    Raises:
        ConfigurationError: It is no such URL, or the database does not let us in.
    """
    try:
        given = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("trusted store: expected a URL, as mysql://user@host/database") from error
    kind = given.get_backend_name()
    if kind == "sqlite" and given.database:
        return open_store(Path(given.database))
    if kind not in _DRIVERS:
        raise ConfigurationError(f"expected a trusted store in mysql://, mariadb:// or sqlite:///FILE, got {kind}://")
    engine = create_engine(
        given.set(drivername=_DRIVERS[kind]),
        paramstyle="format",  # rows are given to the driver as they are
        isolation_level="REPEATABLE READ",  # reads of one transaction see one state
        pool_pre_ping=True,
        pool_size=_CONNECTIONS,
        max_overflow=_CONNECTIONS,
    )
    try:
        _refuse_older(engine)
        _create(engine)
    except DBAPIError as error:
        code = error.orig.args[0] if error.orig and error.orig.args else ""
        raise ConfigurationError(f"trusted store at {given.host}: cannot be used: error {code}") from error
    return engine


def is_away(error: Exception) -> bool:
    """Whether an error says that the database of a shared store cannot be reached."""
    raised = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(raised, InterfaceError):  # the connection was closed before
        return True
    return isinstance(raised, OperationalError) and raised.args[:1] in {(code,) for code in _AWAY}


def open_store(path: Path, *, durable: bool = True) -> Engine:
    """Opens the store in a SQLite file, made on first use.

    Args:
        path: The file.
        durable: Whether what is committed survives a loss of power, and not only the end of the process. It takes a
            write to the disk for each transaction.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _make_durable if durable else _make_quick)
    event.listen(engine, "begin", _begin)
    _refuse_older(engine)
    _create(engine)
    return engine


def open_kept(file: Path, url: str | None) -> Engine:
    """Opens the store of a proxy that may not be running.

    Args:
        file: The store in its home.
        url: Of the store that it shares with other proxies, if it does.

    Raises:
        ConfigurationError: There is no store, or there are no keys in it.
    """
    if not file.exists():
        raise ConfigurationError(f"{file.parent}: expected a proxy's home")
    store = open_url(url) if url else open_store(file)
    with store.connect() as connection:
        if connection.execute(select(data_keys.c.epoch).limit(1)).first() is None:
            raise ConfigurationError(
                f"{file.parent}: holds no key; if proxies share a trusted store, PRIVACYPLEASE_TRUSTED_STORE is its URL"
            )
    return store


def _refuse_older(engine: Engine) -> None:
    """Raises `ConfigurationError` if an earlier version of the proxy made the store: nothing of it can be read."""
    tables = set(inspect(engine).get_table_names())
    if tables & {"journal", "ledger", "open_buckets", "runs", "extents"}:
        raise ConfigurationError("the trusted store is of an earlier version; ingest its data into a new home")


@contextmanager
def writing(store: Engine) -> Iterator[Connection]:
    """Writes to the store, in a transaction that is the only one to do so, of all proxies."""
    with store.begin() as connection:
        lock(connection)
        yield connection


def lock(connection: Connection) -> None:
    """Keeps all others from writing until the transaction ends. To be called before anything else in it.

    With one writer, rows are numbered in the order in which they are committed, and no two writers wait for each other.
    SQLite has one writer at a time anyway, but one that has read before it writes is refused if another was faster: so
    it begins with a write.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(update(writers).values(writer=writers.c.writer))
    else:
        connection.execute(select(writers.c.writer).with_for_update())


@contextmanager
def reading(store: Engine) -> Iterator[DBAPICursor]:
    """Reads from one state of the store.

    Past SQLAlchemy's handling of statements and rows, which took half of the time that it takes to check an answer.
    """
    connection = store.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        yield cursor
    finally:
        connection.close()  # back to the pool, which ends the transaction


def _create(engine: Engine) -> None:
    """Makes the tables that there are not. Another proxy may be doing so."""
    for attempt in range(_ATTEMPTS):
        try:
            metadata.create_all(engine)
            break
        except DBAPIError:
            if attempt == _ATTEMPTS - 1:
                raise
    with engine.begin() as connection:
        connection.execute(inserted_once(engine.dialect, writers), {"writer": 1})


def _make_durable(connection: DBAPIConnection, _record: object) -> None:
    _prepare(connection, "FULL")


def _make_quick(connection: DBAPIConnection, _record: object) -> None:
    _prepare(connection, "NORMAL")


def _prepare(connection: DBAPIConnection, synchronous: str) -> None:
    # Python's driver would begin a transaction at the first write alone, and two reads could see two states.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA synchronous = {synchronous}")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA secure_delete = ON")  # the bytes of a destroyed key are overwritten
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
