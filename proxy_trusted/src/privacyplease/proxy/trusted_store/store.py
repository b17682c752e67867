"""The proxy's own store: what it must remember and the untrusted server must not know.

Wrapped data keys, and the manifest: which segments there are, and which cells the server must have. A SQLite file by
default; a MySQL or MariaDB database if several proxies share one. Without the master key nothing in it discloses a
secret except the names of data sets and columns; still, it belongs to the trusted domain.
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
from privacyplease.proxy.trusted_store.upsert import insert_if_absent

_DRIVERS = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}
_CONNECTIONS = 16
_UNAVAILABLE = (
    CR.CR_CONNECTION_ERROR,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    ER.CON_COUNT_ERROR,
    ER.SERVER_SHUTDOWN,
)
_ATTEMPTS = 5


def open_url(url: str) -> Engine:
    """Opens a store that several proxies may share; its tables are created on first use.

    Args:
        url: Such as "mysql://user:password@host/database"; the schemes "mariadb" and "sqlite" are supported too.
            Options after a "?" are passed to PyMySQL, such as "ssl_ca=ca.pem".

    Raises:
        ConfigurationError: The URL is not supported, or the database refuses the connection.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("trusted store: expected a URL such as mysql://user@host/database") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite" and parsed.database:
        return open_store(Path(parsed.database))
    if kind not in _DRIVERS:
        raise ConfigurationError(f"expected a trusted store in mysql://, mariadb:// or sqlite:///FILE, got {kind}://")
    engine = create_engine(
        parsed.set(drivername=_DRIVERS[kind]),
        paramstyle="format",  # rows are passed to the driver unchanged
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
        raise ConfigurationError(f"trusted store at {parsed.host}: cannot be used: error {code}") from error
    return engine


def is_unavailable(error: Exception) -> bool:
    """Whether an error means that the database of a shared store cannot be reached."""
    raised = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(raised, InterfaceError):  # the connection was already closed
        return True
    return isinstance(raised, OperationalError) and raised.args[:1] in {(code,) for code in _UNAVAILABLE}


def open_store(path: Path, *, durable: bool = True) -> Engine:
    """Opens the store in a SQLite file, which is created on first use and accessible only to its owner.

    Args:
        path: The file.
        durable: Whether commits survive a loss of power, and not only the end of the process. It costs a write to the
            disk for each transaction.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)  # SQLite gives its other files the same mode
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _connect_durable if durable else _connect_fast)
    event.listen(engine, "begin", _begin)
    _refuse_older(engine)
    _create(engine)
    return engine


def open_existing(file: Path, url: str | None) -> Engine:
    """Opens the store of a proxy that may not be running.

    Args:
        file: The store in its home.
        url: The URL of the store that it shares with other proxies, if it does.

    Raises:
        ConfigurationError: There is no store, or no key in it.
    """
    if not file.exists():
        raise ConfigurationError(f"{file.parent}: expected a proxy's home")
    store = open_url(url) if url else open_store(file)
    with store.connect() as connection:
        if connection.execute(select(data_keys.c.epoch).limit(1)).first() is None:
            raise ConfigurationError(
                f"{file.parent}: holds no key; if proxies share a trusted store, "
                "set PRIVACYPLEASE_TRUSTED_STORE to its URL"
            )
    return store


def _refuse_older(engine: Engine) -> None:
    """Raises `ConfigurationError` if an earlier version of the proxy made the store, which cannot be read any more."""
    tables = set(inspect(engine).get_table_names())
    if tables & {"journal", "ledger", "open_buckets", "runs", "extents"}:
        raise ConfigurationError("the trusted store was made by an earlier version; ingest its data into a new home")


@contextmanager
def writing(store: Engine) -> Iterator[Connection]:
    """A transaction that writes to the store, the only one at a time over all proxies."""
    with store.begin() as connection:
        lock(connection)
        yield connection


def lock(connection: Connection) -> None:
    """Keeps all others from writing until the transaction ends. Must be the first statement of the transaction.

    With a single writer, rows are numbered in the order in which they are committed, and writers cannot deadlock.
    SQLite has one writer at a time anyway, but refuses a transaction that read before it wrote if another one wrote in
    between; so this one begins with a write.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(update(writers).values(writer=writers.c.writer))
    else:
        connection.execute(select(writers.c.writer).with_for_update())


@contextmanager
def reading(store: Engine) -> Iterator[DBAPICursor]:
    """Reads from one snapshot of the store.

    It bypasses SQLAlchemy's handling of statements and rows, which took half of the time of checking an answer.
    """
    connection = store.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        yield cursor
    finally:
        connection.close()  # back to the pool, which ends the transaction


def _create(engine: Engine) -> None:
    """Creates the tables that do not exist. Another proxy may be doing the same."""
    for attempt in range(_ATTEMPTS):
        try:
            metadata.create_all(engine)
            break
        except DBAPIError:
            if attempt == _ATTEMPTS - 1:
                raise
    with engine.begin() as connection:
        connection.execute(insert_if_absent(engine.dialect, writers), {"writer": 1})


def _connect_durable(connection: DBAPIConnection, _record: object) -> None:
    _prepare(connection, "FULL")


def _connect_fast(connection: DBAPIConnection, _record: object) -> None:
    _prepare(connection, "NORMAL")


def _prepare(connection: DBAPIConnection, synchronous: str) -> None:
    # By default Python's driver begins a transaction only at the first write, and two reads could see two states.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA synchronous = {synchronous}")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA secure_delete = ON")  # the bytes of a destroyed key are overwritten
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
