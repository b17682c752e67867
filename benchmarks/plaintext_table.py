"""Sessions in one indexed table, without encryption: the store of a program that has nothing to hide.

It has all columns of the data set, InnoDB, and the two indexes that its questions need. The statements are the obvious
ones, without tuning for time: a session overlaps [a, b] if it starts at or before b and ends at or after a.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import pyarrow as pa
import pymysql
from pyarrow import csv

from privacyplease.ingest.wifi import SCHEMA

ROWS_AT_ONCE = 10_000

_TYPES = {
    "client_mac": "CHAR(17) CHARACTER SET ascii NOT NULL",
    "ap_name": "VARCHAR(64) CHARACTER SET ascii NOT NULL",
    "association_time": "BIGINT NOT NULL",
    "session_duration": "BIGINT NOT NULL",
}
_COLUMNS = [*SCHEMA.names, "end_time"]
_DEFINITIONS = ", ".join(f"{name} {_TYPES.get(name, 'VARCHAR(255)')}" for name in SCHEMA.names)
_CREATE = (
    f"CREATE TABLE sessions (id BIGINT AUTO_INCREMENT PRIMARY KEY, {_DEFINITIONS}, end_time BIGINT NOT NULL, "
    "INDEX by_mac (client_mac, association_time, end_time), INDEX by_ap (ap_name, association_time, end_time))"
)
_INSERT = f"INSERT INTO sessions ({', '.join(_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_COLUMNS))})"
_LOAD = f"LOAD DATA LOCAL INFILE %s INTO TABLE sessions CHARACTER SET utf8mb4 ({', '.join(_COLUMNS)})"

_OVERLAPS = "association_time <= %s AND end_time >= %s"

SessionRow = tuple[str, int, int]


class PlaintextTable:
    """A connection to the table, for one thread.

    Args:
        url: The URL of the database, as `mysql://root@127.0.0.1:3306/plain`.
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._connection = pymysql.connect(
            host=address.hostname,
            port=address.port or 3306,
            user=address.username,
            database=address.path.strip("/"),
            autocommit=True,
            local_infile=True,
        )
        self._cursor = self._connection.cursor()

    def create(self) -> None:
        """Creates the table."""
        self._cursor.execute(_CREATE)

    def insert(self, table: pa.Table) -> None:
        """Writes sessions with `executemany`, with a commit every 10,000."""
        for begin in range(0, len(table), ROWS_AT_ONCE):
            self._connection.begin()
            self._cursor.executemany(_INSERT, list(zip(*_values(table.slice(begin, ROWS_AT_ONCE)), strict=True)))
            self._connection.commit()

    def load(self, file: Path) -> None:
        """Writes the sessions in a file from `write_file` with `LOAD DATA LOCAL INFILE`, in one transaction."""
        self._cursor.execute(_LOAD, (str(file),))

    def load_sessions(self, table: pa.Table) -> None:
        """Writes sessions with `LOAD DATA LOCAL INFILE`, through a temporary file."""
        with tempfile.NamedTemporaryFile(prefix="load-", suffix=".tsv") as file:
            write_file(table, Path(file.name))
            self.load(Path(file.name))

    def count(self, start: int, end: int, place: str) -> int:
        """Distinct devices with a session that overlaps [start, end], in ms; anywhere if the place is empty."""
        where, values = _where("ap_name", place)
        query = f"SELECT COUNT(DISTINCT client_mac) FROM sessions WHERE {where}{_OVERLAPS}"
        self._cursor.execute(query, (*values, end, start))
        return int(self._cursor.fetchall()[0][0])

    def count_by_place(self, start: int, end: int) -> list[tuple[str, int]]:
        """Distinct devices at each place during [start, end], in ms; the fullest place first, then by name."""
        query = (
            f"SELECT ap_name, COUNT(DISTINCT client_mac) AS devices FROM sessions WHERE {_OVERLAPS} "
            "GROUP BY ap_name ORDER BY devices DESC, ap_name"
        )
        self._cursor.execute(query, (end, start))
        return [(place, int(devices)) for place, devices in self._cursor.fetchall()]

    def visits(self, start: int, end: int, place: str) -> list[SessionRow]:
        """Device, start and end of the sessions that overlap [start, end]; anywhere if the place is empty."""
        where, values = _where("ap_name", place)
        query = f"SELECT client_mac, association_time, end_time FROM sessions WHERE {where}{_OVERLAPS}"
        self._cursor.execute(query, (*values, end, start))
        return list(self._cursor.fetchall())

    def presence(self, device: str, start: int, end: int) -> list[SessionRow]:
        """Place, start and end of a device's sessions that overlap [start, end], sorted by start and place."""
        query = (
            f"SELECT ap_name, association_time, end_time FROM sessions WHERE client_mac = %s AND {_OVERLAPS} "
            "ORDER BY association_time, ap_name"
        )
        self._cursor.execute(query, (device, end, start))
        return list(self._cursor.fetchall())

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_file(table: pa.Table, file: Path) -> None:
    r"""Writes sessions in the form that `LOAD DATA` reads: tabs between fields, `\N` for null."""
    columns = [column.cast(pa.string()).fill_null("\\N") for column in _columns(table)]
    options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    csv.write_csv(pa.table(columns, names=_COLUMNS), file, options)


def _where(column: str, value: str) -> tuple[str, tuple[str, ...]]:
    return (f"{column} = %s AND ", (value,)) if value else ("", ())


def _columns(table: pa.Table) -> Iterator[pa.ChunkedArray]:
    """The columns in the order of the SQL table, times in ms."""
    start, duration = (table[name].cast(pa.int64()) for name in ("association_time", "session_duration"))
    converted = {"association_time": start, "session_duration": duration}
    yield from (converted.get(name, table[name]) for name in SCHEMA.names)
    yield pa.chunked_array([pa.array(start.to_numpy() + duration.to_numpy())])


def _values(table: pa.Table) -> Iterator[list[object]]:
    for column in _columns(table):
        yield column.to_pylist() if pa.types.is_string(column.type) else column.to_numpy().tolist()
