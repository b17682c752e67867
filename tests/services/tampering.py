"""The database behind a storage server, for changing it behind the server's back."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

_COLUMNS = "tag, sealed_bytes, sealed"


class StoredCell(NamedTuple):
    """A stored cell."""

    tag: bytes
    sealed_bytes: int
    sealed: bytes


class Database:
    """The cells of a store, without its server.

    Args:
        storage_url: The URL that the server is started with.
    """

    def __init__(self, storage_url: str) -> None:
        url = make_url(storage_url)
        self._engine: Engine = create_engine(url.set(drivername="mysql+pymysql") if url.host else url)

    def rows(self) -> list[StoredCell]:
        """Every cell, ascending by tag."""
        with self._engine.connect() as connection:
            rows = connection.exec_driver_sql(f"SELECT {_COLUMNS} FROM cells ORDER BY tag")
            return [StoredCell(bytes(tag), size, bytes(sealed)) for tag, size, sealed in rows]

    def restore(self, rows: list[StoredCell]) -> None:
        """Makes these the only cells."""
        values = ", ".join(f"(X'{row.tag.hex()}', {row.sealed_bytes}, X'{row.sealed.hex()}')" for row in rows)
        with self._engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM cells")
            if rows:
                connection.exec_driver_sql(f"INSERT INTO cells ({_COLUMNS}) VALUES {values}")

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()
