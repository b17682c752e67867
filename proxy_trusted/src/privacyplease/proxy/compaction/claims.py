"""Claims: of all proxies that share a trusted store, one at a time compacts an epoch.

A claim expires, so that one who died does not keep it. Whoever was only slow finds that the claim is gone with the next
change of the manifest, which is then not made.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, update

from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import claims

# Longer than a job takes; renewed by every step of it.
CLAIMED_MS = 10 * 60_000


class OvertakenError(Exception):
    """Another compactor took over what this one had claimed, and does its work."""


class Claim(NamedTuple):
    """The right to compact an epoch of a data set, for as long as the token is in the trusted store."""

    dataset: str
    epoch: int
    token: str


class Claims:
    """Gives claims. Safe to use from many threads, and from several proxies over one store."""

    def __init__(self, store: Engine, clock: Callable[[], float]) -> None:
        """Takes the store, and what tells the time in seconds since 1970."""
        self._store = store
        self._clock = clock

    @contextmanager
    def claimed(self, dataset: str, epoch: int) -> Iterator[Claim | None]:
        """Claims an epoch for as long as the block lasts; None if somebody else has."""
        claim = Claim(dataset, epoch, secrets.token_hex(16))
        with writing(self._store) as connection:
            got = _claim(connection, claim, self._now())
        try:
            yield claim if got else None
        finally:
            if got:
                with writing(self._store) as connection:
                    connection.execute(delete(claims).where(*_mine(claim)))

    def renewing(self, claim: Claim) -> Callable[[Connection], None]:
        """Renews the claim in a transaction; `OvertakenError`, which rolls it back, if somebody has taken it over."""

        def renew(connection: Connection) -> None:
            later = {"expires_at_ms": self._now() + CLAIMED_MS}
            if connection.execute(update(claims).where(*_mine(claim)).values(later)).rowcount != 1:
                raise OvertakenError

        return renew

    def _now(self) -> int:
        return int(self._clock() * 1_000)


def _claim(connection: Connection, claim: Claim, now: int) -> bool:
    """Writes a claim unless there is one that has not expired."""
    # Whoever had one that has expired will not find its token.
    connection.execute(delete(claims).where(*_whose(claim), claims.c.expires_at_ms < now))
    if connection.scalar(select(claims.c.token).where(*_whose(claim))) is not None:
        return False
    connection.execute(insert(claims), claim._asdict() | {"expires_at_ms": now + CLAIMED_MS})
    return True


def _mine(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return (*_whose(claim), claims.c.token == claim.token)


def _whose(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return claims.c.dataset == claim.dataset, claims.c.epoch == claim.epoch
