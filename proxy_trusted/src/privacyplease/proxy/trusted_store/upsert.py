"""Rows that may be there already, in the words of each database.

Standard SQL has no statement that inserts a row or else changes the one that is there, and it takes one: two proxies
may try at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Insert, Table
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Columns = ReadOnlyColumnCollection[str, ColumnElement[Any]]
Change = Callable[[Columns], Mapping[str, ColumnElement[Any]]]


def inserted_or(dialect: Dialect, table: Table, change: Change) -> Insert:
    """Inserts a row; if its primary key is there, changes columns of that one.

    Args:
        dialect: Of the database.
        table: Where.
        change: Given the columns of the new row, what those of the old one become.
    """
    if dialect.name in ("mysql", "mariadb"):
        row = mysql.insert(table)
        return row.on_duplicate_key_update(dict(change(row.inserted)))
    other = sqlite.insert(table)
    return other.on_conflict_do_update(index_elements=list(table.primary_key), set_=dict(change(other.excluded)))


def inserted_once(dialect: Dialect, table: Table) -> Insert:
    """Inserts a row; if its primary key is there, leaves that one as it is."""
    if dialect.name in ("mysql", "mariadb"):
        unchanged = next(iter(table.primary_key))
        return mysql.insert(table).on_duplicate_key_update({unchanged.name: unchanged})
    return sqlite.insert(table).on_conflict_do_nothing()
