"""The proxies that share a trusted store: which of them are alive, and which have let go of an erased key.

Each has a lease, a row that it renews. Whoever erases a key waits until every proxy with a live lease has acknowledged
that no batch, question or compaction of its own uses the key any more. A proxy that does not renew its lease is not
waited for: it has fenced itself before (`edge/fence.py`), because it counts its lease from before the renewal was sent,
and gives up `MARGIN_SECONDS` earlier.

Leases are compared by the database's clock, the one that all proxies share. A renewal is committed before the erasures
are read, and an erasure before the leases are: so of a proxy and an eraser at least one sees the other.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterable

from sqlalchemy import BigInteger, ColumnElement, Engine, delete, literal_column, select

from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import acknowledgements, proxies
from privacyplease.proxy.trusted_store.upsert import insert_if_absent, upsert

LEASE_SECONDS = 15.0

# For clocks that run at different rates, and for a step of the database's clock.
MARGIN_SECONDS = 5.0

_POLL_SECONDS = 0.2
_FORGOTTEN_MS = 86_400_000
_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000",
}


class Peers:
    """This proxy's lease and acknowledgements, and those of the others. Safe to use from many threads."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self._id = secrets.token_hex(16)
        self._address = f"{socket.gethostname()}, process {os.getpid()}"

    def renew(self) -> None:
        """Makes or renews this proxy's lease, durably."""
        now = _now(self._store)
        renewal = upsert(self._store.dialect, proxies, lambda new: {"expires_at_ms": new.expires_at_ms})
        row = {"id": self._id, "address": self._address, "expires_at_ms": now + int(LEASE_SECONDS * 1_000)}
        with self._store.begin() as connection:
            connection.execute(renewal.values(row))
            connection.execute(delete(proxies).where(proxies.c.expires_at_ms < now - _FORGOTTEN_MS))

    def leave(self) -> None:
        """Gives the lease up: nothing is running any more."""
        with self._store.begin() as connection:
            connection.execute(delete(proxies).where(proxies.c.id == self._id))

    def acknowledge(self, dataset: str, keys: Iterable[KeyId]) -> None:
        """Tells erasers that this proxy does not use the keys any more."""
        with writing(self._store) as connection:
            for key in keys:
                row = {"dataset": dataset, **key._asdict(), "proxy": self._id}
                connection.execute(insert_if_absent(self._store.dialect, acknowledgements), row)

    def waiting_for(self, dataset: str, key: KeyId) -> list[str]:
        """The addresses of other proxies that are alive and may still use a key."""
        column = acknowledgements.c
        mine = column.dataset == dataset, column.epoch == key.epoch, column.generation == key.generation
        with self._store.connect() as connection:
            alive = select(proxies.c.address).where(
                proxies.c.id != self._id,
                proxies.c.expires_at_ms > _now(self._store),
                proxies.c.id.not_in(select(column.proxy).where(*mine)),
            )
            return sorted(connection.scalars(alive))

    def wait(self, dataset: str, keys: Iterable[KeyId]) -> None:
        """Returns once no other proxy uses the keys, or after the time that a lease lasts."""
        patience = time.monotonic() + LEASE_SECONDS + MARGIN_SECONDS
        for key in keys:
            while self.waiting_for(dataset, key) and time.monotonic() < patience:
                time.sleep(_POLL_SECONDS)


def _now(store: Engine) -> ColumnElement[int]:
    """The database's time, in ms since 1970."""
    return literal_column(_NOW["sqlite" if store.dialect.name == "sqlite" else "mysql"], BigInteger)
