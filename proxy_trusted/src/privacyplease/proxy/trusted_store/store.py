"""The proxy's own store: what it must remember and the untrusted server must not know.

Wrapped data keys, which part of time holds data, how each index lays its records out in a cell, and which cells the
server must have. A SQLite file by default; a MySQL or MariaDB database if several proxies are to share one. Nothing in
it is secret without the master key except names of data sets and columns; yet it belongs to the trusted domain.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymysql.constants import CR, ER
from pymysql.err import InterfaceError, OperationalError
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    create_engine,
    event,
    false,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import ArgumentError, DBAPIError

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.trusted_store.upsert import inserted_once

metadata = MetaData()

# Transactions; and names that differ in case alone are different names.
_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_MYSQL |= {name.replace("mysql", "mariadb"): value for name, value in _MYSQL.items()}
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

# The random data key of each epoch, wrapped by the master key.
data_keys = Table(
    "data_keys",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    # When it was made, in ms since 1970; null where a version of the proxy made it that did not note that.
    Column("made_at", BigInteger),
    **_MYSQL,
)

# The folder of the home that describes the master key by which all data keys are wrapped; no row: the home itself.
master_keys = Table(
    "master_keys",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("folder", String(64), nullable=False),
    **_MYSQL,
)

# Epochs that are erased, with the time in ms since 1970, or about to be, without. Rows are never removed.
erasures = Table(
    "erasures",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("erased_at", BigInteger),
    **_MYSQL,
)

# The buckets under whose tags cells were appended that are in no run yet (`holdings.py`), with how many calls, cells
# and bytes were sent there: at least those that are stored.
open_buckets = Table(
    "open_buckets",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("index_name", String(64), primary_key=True),
    Column("level", SmallInteger, primary_key=True),
    Column("bucket", BigInteger, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("cells", BigInteger, nullable=False),
    Column("sealed_bytes", BigInteger, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("written_at_ms", BigInteger, nullable=False),
    **_MYSQL,
)

# What was compacted: runs, and those that are being written. Times and durations in ms; `size` is what the fullest bin
# takes in bytes, `rolled_up` whether there is a roll-up beside it.
runs = Table(
    "runs",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("dataset", String(64), nullable=False),
    Column("index_name", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("first_start", BigInteger, nullable=False),
    Column("last_start", BigInteger, nullable=False),
    Column("reach", BigInteger, nullable=False),
    Column("shortest", BigInteger, nullable=False),
    Column("longest", BigInteger, nullable=False),
    Column("records", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("rolled_up", Boolean, nullable=False, server_default=false()),
    Index("runs_of_index", "dataset", "index_name", "epoch"),
    sqlite_autoincrement=True,  # tags are made of it
    **_MYSQL,
)

# Who compacts an index of an epoch, until when.
claims = Table(
    "claims",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("index_name", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("token", String(32), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    **_MYSQL,
)

# How the cells of an index are laid out. A data set that gains a column gains a layout; older cells keep theirs.
layouts = Table(
    "layouts",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("index_name", String(64), primary_key=True),
    Column("layout", Integer, primary_key=True),
    Column("arrow_schema", LargeBinary, nullable=False),
    Column("dictionary", LargeBinary, nullable=False),
    **_MYSQL,
)

# What a data set's tags are made of. It cannot change once there is data: old tags would no longer be found.
shapes = Table(
    "shapes",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("shape", String(4000), nullable=False),
    **_MYSQL,
)

# Cells that were sent and are not, or not for long, in the ledger: an entry for each call and epoch (`journal.py`).
journal = Table(
    "journal",
    metadata,
    Column("entry", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("dataset", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("sent_at_ms", BigInteger, nullable=False),
    Column("cells", LargeBinary((1 << 24) - 1), nullable=False),
    Index("journal_state", "state"),
    sqlite_autoincrement=True,  # a number is never given twice: readers tell entries apart by it
    **_MYSQL,
)

# For each tag how many cells are stored under it, and their set hash in four numbers (`sethash.py`).
ledger = Table(
    "ledger",
    metadata,
    Column("tag", LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb"), primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("cells", BigInteger, nullable=False),
    *(Column(f"hash{part}", BigInteger, nullable=False) for part in range(4)),
    sqlite_with_rowid=False,
    **_MYSQL,
)

# Backups that were begun, those that are whole with the time in ms (`backups.py`).
backups = Table(
    "backups",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("begun_at_ms", BigInteger, nullable=False),
    Column("done_at_ms", BigInteger),
    Column("entry", BigInteger, nullable=False),
    Column("run", BigInteger, nullable=False),
    sqlite_autoincrement=True,
    **_MYSQL,
)

# One row. Whoever writes locks it first, where the database itself lets several write at once.
writers = Table("writers", metadata, Column("writer", Integer, primary_key=True, autoincrement=False), **_MYSQL)


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
        _create(engine)
        _bring_up_to_date(engine)
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


# How long the audit log is, and a MAC that vouches for its last line (`audit/`).
audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("one", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)


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
    _create(engine)
    _bring_up_to_date(engine)
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


def _bring_up_to_date(engine: Engine) -> None:
    """Adds what a store lacks that an earlier version made.

    Raises:
        ConfigurationError: It does not say in which buckets its data lies, but only between which.
    """
    if "extents" in inspect(engine).get_table_names():
        with engine.connect() as connection:
            if connection.execute(text("SELECT COUNT(*) FROM extents")).scalar():
                raise ConfigurationError("the trusted store is of an earlier version; ingest its data into a new home")
    if "made_at" not in {column["name"] for column in inspect(engine).get_columns("data_keys")}:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE data_keys ADD COLUMN made_at BIGINT"))
    if "rolled_up" not in {column["name"] for column in inspect(engine).get_columns("runs")}:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE runs ADD COLUMN rolled_up BOOLEAN NOT NULL DEFAULT FALSE"))


@contextmanager
def writing(store: Engine) -> Iterator[Connection]:
    """Writes to the store, in a transaction that is the only one to do so, of all proxies."""
    with store.begin() as connection:
        lock(connection)
        yield connection


def lock(connection: Connection) -> None:
    """Keeps all others from writing until the transaction ends. To be called before anything else in it.

    SQLite has one writer at a time anyway: its transactions here begin with a write. With one writer, rows are numbered
    in the order in which they are committed, and no two writers wait for each other.
    """
    if connection.dialect.name != "sqlite":
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
