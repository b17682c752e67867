"""Databases on a server that runs already, which `STORAGE_URL` names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pymysql
from sqlalchemy import make_url


@contextlib.contextmanager
def fresh_database(server: str, name: str) -> Iterator[str]:
    """Creates a database beside the one that a storage URL names, gives its URL, and drops it at the end."""
    url = make_url(server)
    connection = pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        unix_socket=url.query.get("unix_socket"),
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}`")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            cursor.execute(f"DROP DATABASE `{name}`")
