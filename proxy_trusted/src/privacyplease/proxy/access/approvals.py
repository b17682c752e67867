"""Approvals: what one identity asks for, another grants.

A call that needs one is refused until then, and may be made once afterwards. An approval is bound to the rpc, to all of
the request but its secrets, and to who has asked: so what is done is what was granted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from enum import IntEnum
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Engine, desc, func, insert, select, update

from privacyplease.proxy.errors import ApprovalRequiredError, InvalidRequestError, PermissionDeniedError
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import approvals

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
_DECIDE_MS = DAY_MS  # how long an approval waits for a decision
_USE_MS = HOUR_MS  # how long it may be used once it is granted
_LISTED_MS = 30 * DAY_MS
_MOST_LISTED = 1_000
_MOST_WAITING = 20  # of one identity, so that nobody buries what another has asked for
MOST_CHARACTERS = 1_000
MACHINE = "(the proxy's machine)"  # asks for what happens there; no certificate has such a name
_LAST = (1 << 63) - 1  # of a 64-bit column


class State(IntEnum):
    """What is stored of an approval's state; one that is out of time has expired."""

    WAITING = 1
    GRANTED = 2
    DENIED = 3
    USED = 4
    EXPIRED = 5


class Approval(NamedTuple):
    """An approval; times are in ms since 1970.

    Attributes:
        number: Its number.
        rpc: The rpc that was called, as "KeysService/DestroyEpochs", or another act.
        request: What the call asks for, as text.
        asked_by: Who has asked.
        asked_at: When they asked first.
        expires_at: Until when it can be granted, or used once it is granted.
        state: What has become of it.
        decided_by: Who has decided; "" if nobody has.
        decided_at: When they decided; None if nobody has.
    """

    number: int
    rpc: str
    request: str
    asked_by: str
    asked_at: int
    expires_at: int
    state: State
    decided_by: str
    decided_at: int | None


class Wanted(NamedTuple):
    """What needs an approval.

    Attributes:
        act: The rpc that is called, as "KeysService/DestroyEpochs", or another act that needs an approval.
        digest: Binds the approval to exactly this: SHA-256.
        request: What is asked for, as text.
        asked_by: Who asks: the name in a certificate, or `MACHINE`.
    """

    act: str
    digest: bytes
    request: str
    asked_by: str


_COLUMNS = [approvals.c[name] for name in Approval._fields]


class Approvals:
    """The approvals in a trusted store. Safe to use from many threads, and by several proxies.

    Args:
        store: The trusted store.
        clock: Gives the time in seconds since 1970.
    """

    def __init__(self, store: Engine, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def require(self, rpc: str, request: Message, asked_by: str) -> None:
        """Uses up the approval that a call needs, or asks for it.

        Args:
            rpc: The rpc, as "KeysService/DestroyEpochs".
            request: The request.
            asked_by: The name in the caller's certificate.

        Raises:
            ApprovalRequiredError: It was not granted yet, and waits.
        """
        self.use(Wanted(rpc, _digest(rpc, request), described(request), asked_by))

    def use(self, wanted: Wanted) -> Approval:
        """Uses up the approval that an act needs, or asks for it.

        Returns:
            The approval.

        Raises:
            ApprovalRequiredError: It was not granted yet, and waits.
        """
        now, column = self._now(), approvals.c
        same = (column.rpc == wanted.act, column.digest == wanted.digest, column.asked_by == wanted.asked_by)
        with writing(self._store) as connection:
            known = select(*_COLUMNS).where(*same, approvals.c.expires_at > now).order_by(desc(approvals.c.number))
            found = [_approval(row, now) for row in connection.execute(known)]
            if granted := [each for each in found if each.state is State.GRANTED]:
                _set(connection, granted[0].number, state=State.USED)
                return granted[0]
            waiting = [each.number for each in found if each.state is State.WAITING]
            number = waiting[0] if waiting else self._ask(connection, wanted, now)
        message = f"expected the approval of a second person; it is asked for as number {number}"
        raise ApprovalRequiredError(message, approval=number)

    def list(self, asked_by: str | None = None) -> Sequence[Approval]:
        """The approvals of the last 30 days, newest first.

        Args:
            asked_by: Only of this identity.
        """
        now = self._now()
        query = select(*_COLUMNS).where(approvals.c.asked_at > now - _LISTED_MS)
        query = query if asked_by is None else query.where(approvals.c.asked_by == asked_by)
        with self._store.connect() as connection:
            rows = connection.execute(query.order_by(desc(approvals.c.number)).limit(_MOST_LISTED))
            return [_approval(row, now) for row in rows]

    def decide(self, number: int, decided_by: str, *, grant: bool) -> Approval:
        """Grants or denies an approval that waits.

        Raises:
            InvalidRequestError: It does not wait.
            PermissionDeniedError: It was asked for by the same identity.
        """
        now = self._now()
        with writing(self._store) as connection:
            row = connection.execute(select(*_COLUMNS).where(approvals.c.number == min(number, _LAST))).first()
            found = _approval(row, now) if row else None
            if found is None or found.state is not State.WAITING:
                got = found.state.name.lower() if found else "unknown"
                raise InvalidRequestError(f"expected an approval that waits, got one that is {got}", field="number")
            if found.asked_by == decided_by:
                raise PermissionDeniedError("expected another identity than the one that has asked", field="number")
            decided = found._replace(
                state=State.GRANTED if grant else State.DENIED,
                decided_by=decided_by,
                decided_at=now,
                expires_at=now + _USE_MS,
            )
            changed = ("state", "decided_by", "decided_at", "expires_at")
            _set(connection, number, **{name: getattr(decided, name) for name in changed})
        return decided

    def waiting(self) -> int:
        """How many wait for a decision."""
        with self._store.connect() as connection:
            return _waiting(connection, self._now())

    def state(self, number: int) -> State:
        """What has become of an approval."""
        with self._store.connect() as connection:
            row = connection.execute(select(*_COLUMNS).where(approvals.c.number == number)).one()
        return _approval(row, self._now()).state

    def withdraw(self, number: int) -> None:
        """Ends an approval that nobody has used: what it was asked for is no longer wanted."""
        unused = approvals.c.state.in_((State.WAITING, State.GRANTED))
        with writing(self._store) as connection:
            connection.execute(
                update(approvals).where(approvals.c.number == number, unused).values(state=State.EXPIRED)
            )

    def _ask(self, connection: Connection, wanted: Wanted, now: int) -> int:
        if _waiting(connection, now, approvals.c.asked_by == wanted.asked_by) >= _MOST_WAITING:
            raise InvalidRequestError(f"expected at most {_MOST_WAITING} approvals that wait for each identity")
        values = {
            "rpc": wanted.act,
            "digest": wanted.digest,
            "request": wanted.request[:MOST_CHARACTERS],
            "asked_by": wanted.asked_by,
            "asked_at": now,
            "expires_at": now + _DECIDE_MS,
            "state": State.WAITING,
            "decided_by": "",
        }
        inserted = connection.execute(insert(approvals).values(values)).inserted_primary_key
        if inserted is None:
            raise TypeError("expected the number of the row that was inserted")
        return int(inserted[0])

    def _now(self) -> int:
        return int(self._clock() * 1_000)


def described(request: Message) -> str:
    """A request as text, without what its contract calls secret.

    >>> from privacyplease.proxy.v1.keys_service_pb2 import RotateMasterRequest
    >>> described(RotateMasterRequest(master_key="hsm", passphrase="secret"))
    'master_key: hsm'
    """
    parts = [f"{field.name}: {_shown(value)}" for field, value in request.ListFields() if not _is_secret(field)]
    return ", ".join(parts)


def _shown(value: Any) -> str:  # noqa: ANN401  # a field's value
    if isinstance(value, Message):
        text = getattr(value, "ToJsonString", None)
        return text() if text else f"({described(value)})"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _digest(rpc: str, request: Message) -> bytes:
    """Binds an approval to a request. Secrets are left out: a passphrase could be guessed from a digest."""
    open_part = deepcopy(request)
    for field, _ in request.ListFields():
        if _is_secret(field):
            open_part.ClearField(field.name)
    return hashlib.sha256(rpc.encode() + b"\0" + open_part.SerializeToString(deterministic=True)).digest()


def _is_secret(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().debug_redact)


def _approval(row: Any, now: int) -> Approval:  # noqa: ANN401  # a row
    found = Approval(*row)
    state = State(found.state)
    open_still = state in (State.WAITING, State.GRANTED) and found.expires_at <= now
    return found._replace(state=State.EXPIRED if open_still else state)


def _waiting(connection: Connection, now: int, *whose: ColumnElement[bool]) -> int:
    waits = (approvals.c.state == State.WAITING, approvals.c.expires_at > now)
    return connection.scalar(select(func.count()).select_from(approvals).where(*waits, *whose)) or 0


def _set(connection: Connection, number: int, **values: object) -> None:
    connection.execute(update(approvals).where(approvals.c.number == number).values(values))
