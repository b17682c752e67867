"""The proxy's own store: what it must remember and the untrusted server must not know.

Wrapped data keys, which part of time holds data, and how each index lays its records out in a cell. SQLite by default;
any database that SQLAlchemy speaks will do, so that several proxies can share one. Nothing in it is secret without the
master key except names of data sets and columns; it belongs to the trusted domain all the same.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection

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

# For each epoch and level the buckets that hold data, first to last: what lies outside need not be asked for.
extents = Table(
    "extents",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("first_bucket", BigInteger, nullable=False),
    Column("last_bucket", BigInteger, nullable=False),
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


def open_store(path: Path) -> Engine:
    """Opens the store in a SQLite file, made on first use. What is committed survives a loss of power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(path)))
    event.listen(engine, "connect", _make_durable)
    metadata.create_all(engine)
    _bring_up_to_date(engine)
    return engine


def _bring_up_to_date(engine: Engine) -> None:
    """Adds what a store lacks that an earlier version made."""
    if "made_at" not in {column["name"] for column in inspect(engine).get_columns("data_keys")}:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE data_keys ADD COLUMN made_at BIGINT"))


def _make_durable(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA secure_delete = ON")  # the bytes of a destroyed key are overwritten
    cursor.close()
