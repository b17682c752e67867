"""Upserts, in the dialect of each database.

Standard SQL has no statement that inserts a row or else updates the existing one; one statement is needed, because two
proxies may try at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Insert, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Columns = ReadOnlyColumnCollection[str, ColumnElement[Any]]
ColumnValues = Callable[[Columns], Mapping[str, ColumnElement[Any]]]


def upsert(dialect: Dialect, table: Table, change: ColumnValues) -> Insert:
    """Inserts a row, or updates columns of the row with the same primary key.

    Args:
        dialect: The dialect of the database.
        table: The table.
        change: Maps the columns of the new row to what the columns of the existing row become.
    """
    if dialect.name in ("mysql", "mariadb"):
        row = mysql.insert(table)
        return row.on_duplicate_key_update(dict(change(row.inserted)))
    other = sqlite.insert(table)
    return other.on_conflict_do_update(index_elements=list(table.primary_key), set_=dict(change(other.excluded)))


def insert_if_absent(dialect: Dialect, table: Table) -> Insert:
    """Inserts a row, unless there is one with the same primary key, which stays as it is."""
    if dialect.name in ("mysql", "mariadb"):
        unchanged = next(iter(table.primary_key))
        return mysql.insert(table).on_duplicate_key_update({unchanged.name: unchanged})
    return sqlite.insert(table).on_conflict_do_nothing()
