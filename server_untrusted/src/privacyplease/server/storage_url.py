"""Which store a URL names."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from privacyplease.server.errors import StartError
from privacyplease.server.limits import Limits
from privacyplease.server.mysql import MySqlStore
from privacyplease.server.sql import SqlStore
from privacyplease.server.sqlite import SqliteStore
from privacyplease.server.store import Store


def open_store(url: str, limits: Limits, *, connections: int = 16) -> Store:
    """Opens the store that a URL names, and creates or migrates its tables.

    Args:
        url: `mysql://user:password@host:port/database` or `sqlite:///path`.
        limits: what the store must be able to take.
        connections: how many connections to keep open.

    Raises:
        StartError: the URL names no store that this server knows, or one that does not suit it.
        StoreUnavailableError: the database is unavailable.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not quoted: the URL may hold a password.
        raise StartError("expected a storage URL as mysql://user@host/database or sqlite:///path") from None
    try:
        return _opened(parsed, limits, connections)
    except DBAPIError as error:
        # Quoted, unlike later ones: no statement has held a tag yet, and the operator needs to know.
        raise StartError(f"the database refuses to be used: {error.orig}") from None


def _opened(url: URL, limits: Limits, connections: int) -> SqlStore:
    if url.drivername == "mysql":
        return MySqlStore(url, limits, connections)
    if url.drivername == "sqlite":
        return SqliteStore(url, connections)
    raise StartError(f"expected a storage URL of mysql or sqlite, got {url.drivername}")
