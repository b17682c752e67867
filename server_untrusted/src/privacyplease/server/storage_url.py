"""Opens the store that a URL names."""

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
        limits: The bounds of one call, for which the database must be set up.
        connections: How many connections to keep open.

    Raises:
        StartError: The URL is not of a kind that this server knows, or the database is not set up for it.
        StoreUnavailableError: The database is unavailable.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The URL is not quoted: it may hold a password.
        raise StartError("expected a storage URL as mysql://user@host/database or sqlite:///path") from None
    try:
        return _opened(parsed, limits, connections)
    except DBAPIError as error:
        # Quoted, unlike later errors: no statement has held a tag yet, and the operator needs to know.
        raise StartError(f"the database cannot be used: {error.orig}") from None


def _opened(url: URL, limits: Limits, connections: int) -> SqlStore:
    if url.drivername == "mysql":
        return MySqlStore(url, limits, connections)
    if url.drivername == "sqlite":
        return SqliteStore(url, connections)
    raise StartError(f"expected a storage URL of kind mysql or sqlite, got {url.drivername}")
