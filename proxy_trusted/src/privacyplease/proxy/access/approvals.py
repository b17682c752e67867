"""Approvals: what one identity asks for, another grants.

A call that needs one is refused until then, and may be made once afterwards. An approval is bound to the rpc, to all of
the request but its secrets, and to who has asked: so what is done is what was granted. Each is stored with an HMAC
under a key of the keyring (RFC 2104), so that nobody grants anything, or changes what is shown, by writing to the
store; one that does not match counts as unknown.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from enum import IntEnum
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from sqlalchemy import ColumnElement, Connection, Engine, desc, func, insert, select, update

from privacyplease.proxy.errors import ApprovalRequiredError, InvalidRequestError, PermissionDeniedError
from privacyplease.proxy.keys.derivation import Key, context
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import approval_macs, approvals
from privacyplease.proxy.trusted_store.upsert import upsert

LABEL = b"privacyplease/v2/approval"

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

_log = logging.getLogger(__name__)


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


class _Stored(NamedTuple):
    """An approval as it is stored, and the digest of what it is for."""

    approval: Approval
    digest: bytes


_COLUMNS = [*(approvals.c[name] for name in Approval._fields), approvals.c.digest, approval_macs.c.mac]


class Approvals:
    """The approvals in a trusted store. Safe to use from many threads, and by several proxies.

    Args:
        store: The trusted store.
        key: Authenticates approvals.
        clock: Gives the time in seconds since 1970.
    """

    def __init__(self, store: Engine, key: Key, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._key = key
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
            found = self._find(connection, *same, column.expires_at > now)
            if granted := [each for each in found if State(each.approval.state) is State.GRANTED]:
                self._set(connection, granted[0], state=State.USED)
                return granted[0].approval
            waiting = [each.approval.number for each in found if State(each.approval.state) is State.WAITING]
            number = waiting[0] if waiting else self._ask(connection, wanted, now)
        message = f"expected the approval of a second person; it is asked for as number {number}"
        raise ApprovalRequiredError(message, approval=number)

    def list(self, asked_by: str | None = None) -> Sequence[Approval]:
        """The approvals of the last 30 days, newest first.

        Args:
            asked_by: Only of this identity.
        """
        now = self._now()
        whose = () if asked_by is None else (approvals.c.asked_by == asked_by,)
        with self._store.connect() as connection:
            found = self._find(connection, approvals.c.asked_at > now - _LISTED_MS, *whose)
            return [_now_at(each.approval, now) for each in found]

    def decide(self, number: int, decided_by: str, *, grant: bool) -> Approval:
        """Grants or denies an approval that waits.

        Raises:
            InvalidRequestError: It does not wait.
            PermissionDeniedError: It was asked for by the same identity.
        """
        now = self._now()
        with writing(self._store) as connection:
            stored = self._find(connection, approvals.c.number == min(number, _LAST))
            found = _now_at(stored[0].approval, now) if stored else None
            if found is None or found.state is not State.WAITING:
                got = found.state.name.lower() if found else "unknown"
                raise InvalidRequestError(f"expected an approval that waits, got one that is {got}", field="number")
            if found.asked_by == decided_by:
                raise PermissionDeniedError("expected another identity than the one that has asked", field="number")
            state = State.GRANTED if grant else State.DENIED
            changed = {"state": state, "decided_by": decided_by, "decided_at": now, "expires_at": now + _USE_MS}
            return self._set(connection, stored[0], **changed)

    def waiting(self) -> int:
        """How many wait for a decision."""
        with self._store.connect() as connection:
            return _waiting(connection, self._now())

    def state(self, number: int) -> State:
        """What has become of an approval; expired if it is unknown."""
        with self._store.connect() as connection:
            found = self._find(connection, approvals.c.number == number)
        return _now_at(found[0].approval, self._now()).state if found else State.EXPIRED

    def withdraw(self, number: int) -> None:
        """Ends an approval that nobody has used: what it was asked for is no longer wanted."""
        unused = approvals.c.state.in_((State.WAITING, State.GRANTED))
        with writing(self._store) as connection:
            for found in self._find(connection, approvals.c.number == number, unused):
                self._set(connection, found, state=State.EXPIRED)

    def _ask(self, connection: Connection, wanted: Wanted, now: int) -> int:
        if _waiting(connection, now, approvals.c.asked_by == wanted.asked_by) >= _MOST_WAITING:
            raise InvalidRequestError(f"expected at most {_MOST_WAITING} approvals that wait for each identity")
        values: dict[str, Any] = {
            "rpc": wanted.act,
            "request": wanted.request[:MOST_CHARACTERS],
            "asked_by": wanted.asked_by,
            "asked_at": now,
            "expires_at": now + _DECIDE_MS,
            "state": State.WAITING,
            "decided_by": "",
            "decided_at": None,
        }
        inserted = connection.execute(insert(approvals).values(digest=wanted.digest, **values)).inserted_primary_key
        if inserted is None:
            raise TypeError("expected the number of the row that was inserted")
        stored = _Stored(Approval(number=int(inserted[0]), **values), wanted.digest)
        self._authenticate(connection, stored)
        return stored.approval.number

    def _find(self, connection: Connection, *which: ColumnElement[bool]) -> Sequence[_Stored]:
        """The genuine ones, newest first."""
        joined = approvals.outerjoin(approval_macs, approval_macs.c.number == approvals.c.number)
        query = select(*_COLUMNS).select_from(joined).where(*which).order_by(desc(approvals.c.number))
        found = []
        for *fields, digest, mac in connection.execute(query.limit(_MOST_LISTED)):
            stored = _Stored(Approval(*fields), bytes(digest))
            if hmac.compare_digest(self._mac(stored), bytes(mac or b"")):
                found.append(stored)
            else:
                _log.error("approval %d is not as this proxy has stored it", stored.approval.number)
        return found

    def _set(self, connection: Connection, stored: _Stored, **values: Any) -> Approval:  # noqa: ANN401  # of columns
        changed = stored.approval._replace(**values)
        connection.execute(update(approvals).where(approvals.c.number == changed.number).values(values))
        self._authenticate(connection, stored._replace(approval=changed))
        return changed

    def _authenticate(self, connection: Connection, stored: _Stored) -> None:
        put = upsert(self._store.dialect, approval_macs, lambda new: {"mac": new.mac})
        connection.execute(put, {"number": stored.approval.number, "mac": self._mac(stored)})

    def _mac(self, stored: _Stored) -> bytes:
        fields = json.dumps([stored.digest.hex(), *stored.approval])
        return hmac.digest(self._key.reveal(), context(LABEL, fields), "sha256")

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


def _now_at(approval: Approval, now: int) -> Approval:
    """An approval with what has become of it at a time."""
    state = State(approval.state)
    late = state in (State.WAITING, State.GRANTED) and approval.expires_at <= now
    return approval._replace(state=State.EXPIRED if late else state)


def _waiting(connection: Connection, now: int, *whose: ColumnElement[bool]) -> int:
    waits = (approvals.c.state == State.WAITING, approvals.c.expires_at > now)
    return connection.scalar(select(func.count()).select_from(approvals).where(*waits, *whose)) or 0
