"""The proxy's own store: what it must remember and the untrusted server must not know.

Wrapped data keys, which part of time holds data, how each index lays its records out in a cell, and which cells the
server must have. SQLite by default;
any database that SQLAlchemy speaks will do, so that several proxies can share one. Nothing in it is secret without the
master key except names of data sets and columns; it belongs to the trusted domain all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    inspect,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

metadata = MetaData()

# The random data key of each epoch, wrapped by the master key.
data_keys = Table(
    "data_keys",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    # When it was made, in ms since 1970; null where a version of the proxy made it that did not note that.
    Column("made_at", BigInteger),
)

# The folder of the home that describes the master key by which all data keys are wrapped; no row: the home itself.
master_keys = Table(
    "master_keys",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("folder", String(64), nullable=False),
)

# Epochs that are erased, with the time in ms since 1970, or about to be, without. Rows are never removed.
erasures = Table(
    "erasures",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("erased_at", BigInteger),
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
)

# What was compacted: runs, and those that are being written. Times and durations in ms; `size` is what the fullest bin
# takes in bytes.
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
    Index("runs_of_index", "dataset", "index_name", "epoch"),
    sqlite_autoincrement=True,  # tags are made of it
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
)

# What a data set's tags are made of. It cannot change once there is data: old tags would no longer be found.
shapes = Table(
    "shapes",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("shape", String(4000), nullable=False),
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
)


def open_store(path: Path) -> Engine:
    """Opens the store in a SQLite file, made on first use. What is committed survives a loss of power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    metadata.create_all(engine)
    _bring_up_to_date(engine)
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    """Adds what a store lacks that an earlier version made."""
    if "made_at" not in {column["name"] for column in inspect(engine).get_columns("data_keys")}:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE data_keys ADD COLUMN made_at BIGINT"))


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


def _make_durable(connection: DBAPIConnection, _record: object) -> None:
    # Python's driver would begin a transaction at the first write alone, and two reads could see two states.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA secure_delete = ON")  # the bytes of a destroyed key are overwritten
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
