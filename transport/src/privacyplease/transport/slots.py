"""Slots: how many calls of a kind run at once, in all and for one identity.

>>> slots = Slots(CallKind("question", ("/",), slots=4, seconds=120.0))
>>> [slots.take("alice") for _ in range(3)]
[None, None, Reached(kind='question', limit=2, of_one_identity=True)]
>>> [slots.take("bob") for _ in range(2)]
[None, None]
>>> str(slots.take("carol"))
'all 4 question slots are in use'
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import NamedTuple

# Of a kind's slots, one identity holds at most this part, rounded up: whatever one caller holds, half are left for the
# others, and one that is alone can still keep the server busy. Never fewer than 1.
_MOST_OF_ONE_IDENTITY = 1 / 2

MESSAGE_SECONDS = 5.0
"""How long the request message of a call with only one may take to arrive. A client sends it with the call; 5 s are
enough for the largest, of 32 MiB, at 55 Mbit/s, and for an ordinary one over a connection that loses packets."""


class CallKind(NamedTuple):
    """Calls that share slots.

    Attributes:
        name: How error messages name the slots.
        methods: Prefixes of the paths of its methods.
        slots: How many run at the same time.
        seconds: How long one may take; None for streams that stay open as long as both ends want.
        while_stopping: Whether calls are still admitted while the server shuts down.
        message_seconds: How long the request message may take to arrive, in calls with only one.
    """

    name: str
    methods: tuple[str, ...]
    slots: int
    seconds: float | None
    while_stopping: bool = False
    message_seconds: float = MESSAGE_SECONDS


class Reached(NamedTuple):
    """Why no slot was taken.

    Attributes:
        kind: The name of the slots.
        limit: How many slots are in use, and may be.
        of_one_identity: Whether the caller has them all, and others may have more.
    """

    kind: str
    limit: int
    of_one_identity: bool

    def __str__(self) -> str:
        """For error messages."""
        if self.of_one_identity:
            return f"{self.limit:,} {self.kind} slots are in use by this caller, the most for one identity"
        return f"all {self.limit:,} {self.kind} slots are in use"


class Slots:
    """The slots of one kind. Safe to use from many threads."""

    def __init__(self, kind: CallKind) -> None:
        self.kind = kind
        self._share = math.ceil(kind.slots * _MOST_OF_ONE_IDENTITY)
        self._lock = threading.Lock()
        self._held: Counter[str | None] = Counter()

    def take(self, identity: str | None) -> Reached | None:
        """Takes a slot, and returns None; or returns why none was taken.

        Args:
            identity: Whose call it is; None if callers cannot be told apart, and then only all of them together have a
                limit.
        """
        with self._lock:
            if self._held.total() >= self.kind.slots:
                return Reached(self.kind.name, self.kind.slots, of_one_identity=False)
            if identity is not None and self._held[identity] >= self._share:
                return Reached(self.kind.name, self._share, of_one_identity=True)
            self._held[identity] += 1
        return None

    def release(self, identity: str | None) -> None:
        """Gives the identity's slot back."""
        with self._lock:
            self._held[identity] -= 1
            if not self._held[identity]:
                del self._held[identity]
