"""The same job without encryption: sessions in one indexed table, written as most programs would.

All columns of the data set, InnoDB, a primary key on the identity so that a repeated session replaces its shorter form,
and the two indexes that its questions need.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    written = 0
    address = urlsplit(url)
    connection = pymysql.connect(
        host=address.hostname, port=address.port, user=address.username, database=address.path.strip("/")
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(_CREATE)
        for block in blocks:
            for begin in range(0, len(block.table), ROWS_AT_ONCE):
                rows = _rows(block.table.slice(begin, ROWS_AT_ONCE))
                cursor.executemany(_INSERT, rows)
                connection.commit()
                written += len(rows)
    return written


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    start = table["association_time"].cast(pa.int64())
    duration = table["session_duration"].cast(pa.int64())
    columns = {"association_time": start.to_numpy(), "session_duration": duration.to_numpy()}
    ends = (columns["association_time"] + columns["session_duration"]).tolist()
    values = [columns[name].tolist() if name in columns else table[name].to_pylist() for name in _COLUMNS]
    return list(zip(*values, ends, strict=True))
