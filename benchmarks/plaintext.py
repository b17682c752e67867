"""The same job without encryption: sessions in one indexed table, written as most programs would.

All columns of the data set, InnoDB, a primary key on the identity so that a repeated session replaces its shorter form,
and the two indexes that its questions need.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import pyarrow as pa
import pymysql

from privacyplease.ingest.wifi import SCHEMA, Block

ROWS_AT_ONCE = 10_000

_TYPES = {
    "client_mac": "CHAR(17)",
    "ap_name": "VARCHAR(64)",
    "association_time": "BIGINT",
    "session_duration": "BIGINT",
}
_COLUMNS = [field.name for field in SCHEMA]
_DEFINITIONS = ", ".join(f"{name} {_TYPES.get(name, 'VARCHAR(255)')}" for name in _COLUMNS)
_CREATE = (
    f"CREATE TABLE sessions ({_DEFINITIONS}, end_time BIGINT, "
    "PRIMARY KEY (client_mac, ap_name, association_time), "
    "INDEX by_mac (client_mac, association_time, end_time), INDEX by_ap (ap_name, association_time, end_time))"
)
_INSERT = (
    f"INSERT INTO sessions ({', '.join(_COLUMNS)}, end_time) VALUES ({', '.join(['%s'] * (len(_COLUMNS) + 1))}) "
    "ON DUPLICATE KEY UPDATE end_time = GREATEST(end_time, VALUES(end_time))"
)


def write(blocks: Iterable[Block], url: str) -> int:
    """Creates the table and writes sessions with `executemany`, a commit every 10,000.

    Returns:
        How many.
    """
    with Sessions(url) as sessions:
        return sum(sessions.write(block.table) for block in blocks)


class Sessions:
    """The table, made anew.

    Args:
        url: Of the database.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = pymysql.connect(
            host=address.hostname, port=address.port, user=address.username, database=address.path.strip("/")
        )
        self._cursor = self._connection.cursor()
        self._cursor.execute(_CREATE)

    def write(self, table: pa.Table) -> int:
        """Writes sessions, a commit every 10,000; returns how many."""
        for begin in range(0, len(table), ROWS_AT_ONCE):
            self._cursor.executemany(_INSERT, _rows(table.slice(begin, ROWS_AT_ONCE)))
            self._connection.commit()
        return len(table)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    start = table["association_time"].cast(pa.int64())
    duration = table["session_duration"].cast(pa.int64())
    columns = {"association_time": start.to_numpy(), "session_duration": duration.to_numpy()}
    ends = (columns["association_time"] + columns["session_duration"]).tolist()
    values = [columns[name].tolist() if name in columns else table[name].to_pylist() for name in _COLUMNS]
    return list(zip(*values, ends, strict=True))
