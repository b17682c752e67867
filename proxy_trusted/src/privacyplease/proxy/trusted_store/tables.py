"""The tables of the trusted store, each with its purpose."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, String, Table

metadata = MetaData()

# InnoDB for transactions; a binary collation because names that differ only in case are different names.
_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_MYSQL |= {name.replace("mysql", "mariadb"): value for name, value in _MYSQL.items()}

# The random data key of each epoch, wrapped by its KEK, if it has one, and by the master key; `made_at` in ms since
# 1970.
data_keys = Table(
    "data_keys",
    metadata,
    Column("dataset", String(80), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("made_at", BigInteger, nullable=False),
    **_MYSQL,
)

# The key-encryption key (KEK) of each data key that may be erased: where it is held, and its name there
# (`keys/epoch_keys.py`). Doomed ones have been replaced.
epoch_keys = Table(
    "epoch_keys",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("place", String(500), nullable=False),
    Column("dataset", String(80), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("doomed", SmallInteger, nullable=False),
    Index("epoch_keys_of", "dataset", "epoch", "generation"),
    **_MYSQL,
)

# The folder of the home that describes the master key that wraps all data keys; without a row, the home itself.
master_keys = Table(
    "master_keys",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("folder", String(64), nullable=False),
    **_MYSQL,
)

# Keys that are destroyed, with the time in ms since 1970, or about to be, without a time. Rows are never removed.
erasures = Table(
    "erasures",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("erased_at", BigInteger),
    **_MYSQL,
)

# The proxies that share the store, each with a lease, by the database's clock (`lifecycle/peers.py`).
proxies = Table(
    "proxies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("address", String(300), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    **_MYSQL,
)

# Which of them use a key no more that is about to be destroyed.
acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("proxy", String(32), primary_key=True),
    **_MYSQL,
)

# The manifest (`manifest/`): a sealed row for each segment, its state, and the version in which it was last changed.
segments = Table(
    "segments",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", SmallInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sealed", LargeBinary((1 << 24) - 1), nullable=False),
    Index("segments_version", "version"),
    **_MYSQL,
)

# Rows that were removed, and in which version, so that proxies that share the store learn of it.
gone_segments = Table(
    "gone_segments",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Index("gone_segments_version", "version"),
    **_MYSQL,
)

# The next number for a segment of a data set. None is ever assigned twice: tags are derived from them.
next_segments = Table(
    "next_segments",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
    **_MYSQL,
)

# The manifest's newest head, sealed, in one row, and from which version on `gone_segments` is complete.
heads = Table(
    "heads",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("gone_since", BigInteger, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("sealed", LargeBinary(1024), nullable=False),
    **_MYSQL,
)

# Leases: who compacts an epoch of a data set, and until when (`compaction/leases.py`).
claims = Table(
    "claims",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("token", String(32), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    **_MYSQL,
)

# The shape of a data set's records, as JSON: what cannot change once there is data, and the type of every column.
shapes = Table(
    "shapes",
    metadata,
    Column("dataset", String(64), primary_key=True),
    Column("shape", String(8000), nullable=False),
    **_MYSQL,
)

# Backups that were begun, those that are whole with the time in ms (`backup/registry.py`).
backups = Table(
    "backups",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("begun_at_ms", BigInteger, nullable=False),
    Column("done_at_ms", BigInteger),
    Column("version", BigInteger, nullable=False),
    sqlite_autoincrement=True,
    **_MYSQL,
)

# What one identity asked for and another decides about (`access/approvals.py`); times in ms since 1970.
approvals = Table(
    "approvals",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("rpc", String(120), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("request", String(2000), nullable=False),
    Column("asked_by", String(255), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("decided_by", String(255), nullable=False),
    Column("decided_at", BigInteger),
    sqlite_autoincrement=True,
    **_MYSQL,
)

# A MAC that authenticates an approval as it is now.
approval_macs = Table(
    "approval_macs",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("mac", LargeBinary(32), nullable=False),
    **_MYSQL,
)

# One row, which a writer locks first if the database would let several write at once.
writers = Table("writers", metadata, Column("writer", Integer, primary_key=True, autoincrement=False), **_MYSQL)

# The length of the audit log, and a MAC that authenticates its last line (`audit/`).
audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("one", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
)

# The policy in force, and a MAC that authenticates it (`access/policy_record.py`).
policies = Table(
    "policies",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("policy", LargeBinary((1 << 24) - 1), nullable=False),
    Column("mac", LargeBinary(32), nullable=False),
    **_MYSQL,
)
