"""Leases: of all proxies that share a trusted store, only one at a time compacts an epoch.

A lease expires, so that a compactor that died does not keep it. One that was only slow learns with its next change of
the manifest that its lease is gone, and that change is not made.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update

from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import claims

# Longer than a job takes; every step of a job renews it.
LEASE_MS = 10 * 60_000


class OvertakenError(Exception):
    """Another compactor has taken over this one's lease, and does its work."""


class Lease(NamedTuple):
    """The right to compact an epoch of a data set, for as long as the token is in the trusted store."""

    dataset: str
    epoch: int
    token: str


class Leases:
    """Grants leases. Safe to use from many threads, and from several proxies over one store."""

    def __init__(self, store: Engine, clock: Callable[[], float]) -> None:
        """Initialises the leases.

        Args:
            store: The trusted store.
            clock: Returns the time in seconds since 1970.
        """
        self._store = store
        self._clock = clock

    @contextmanager
    def lease(self, dataset: str, epoch: int) -> Iterator[Lease | None]:
        """Leases an epoch for as long as the block lasts; None if another compactor has the lease."""
        lease = Lease(dataset, epoch, secrets.token_hex(16))
        with writing(self._store) as connection:
            acquired = _acquire(connection, lease, self._now())
        try:
            yield lease if acquired else None
        finally:
            if acquired:
                with writing(self._store) as connection:
                    connection.execute(delete(claims).where(*_mine(lease)))

    def renewing(self, lease: Lease) -> Callable[[Connection], None]:
        """What renews the lease within a transaction.

        If another compactor has taken the lease over, it raises `OvertakenError`, which rolls the transaction back.
        """

        def renew(connection: Connection) -> None:
            later = {"expires_at_ms": self._now() + LEASE_MS}
            if connection.execute(update(claims).where(*_mine(lease)).values(later)).rowcount != 1:
                raise OvertakenError

        return renew

    def _now(self) -> int:
        return int(self._clock() * 1_000)


def _acquire(connection: Connection, lease: Lease, now: int) -> bool:
    """Writes a lease unless there is one that has not expired."""
    # The holder of an expired lease will not find its token.
    connection.execute(delete(claims).where(*_whose(lease), claims.c.expires_at_ms < now))
    if connection.scalar(select(claims.c.token).where(*_whose(lease))) is not None:
        return False
    connection.execute(insert(claims), lease._asdict() | {"expires_at_ms": now + LEASE_MS})
    return True


def _mine(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (*_whose(lease), claims.c.token == lease.token)


def _whose(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return claims.c.dataset == lease.dataset, claims.c.epoch == lease.epoch
