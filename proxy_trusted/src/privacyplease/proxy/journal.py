"""The journal: which cells are on their way to the server, written down before they are sent.

An entry stands for the cells of one call in one epoch, and goes from state to state, each durable at once:

::

    SENT ──► STORED ──► FOLDED ──► dropped
      │        the server   its cells are     when nobody can have asked
      │        said so      in the ledger     before it was written
      └──► settled: nobody knows what became of the call, so the server is asked (`verified.py`)

A reader that knows an entry as SENT, or finds one that was not there when it asked the server, accepts its cells
whether they come or not; those of every other entry must come.

An entry that is RETIRED is of another kind: cells that runs have taken the place of, on their way out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine.interfaces import DBAPICursor

from privacyplease.proxy.keys.prf import Bytes
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.storage.client import DEADLINE_SECONDS
from privacyplease.proxy.trusted_store.store import journal

# An entry is kept for as long as a question may run that did not know it when it began, and that again for clocks of
# several proxies that differ.
LONGEST_QUESTION_SECONDS = 1.5 * DEADLINE_SECONDS
KEPT_SECONDS = 2 * LONGEST_QUESTION_SECONDS
# An honest server has by then long finished a call or given it up, whatever locks it waited for.
SETTLED_AFTER_SECONDS = 15 * DEADLINE_SECONDS

_NAME, _RECORDED = 32, 48


class State(IntEnum):
    """How far the cells of an entry are known to have come."""

    SENT = 0
    STORED = 1
    FOLDED = 2
    RETIRED = 3


class Entry(NamedTuple):
    """Cells that were sent together.

    Attributes:
        number: Tells it from every other entry that ever was.
        dataset: Their data set.
        epoch: Their epoch.
        state: How far they have come.
        sent_at: When they were sent, in seconds.
        cells: uint8[n, 48]: tag, cell id, and what the cell adds to a set hash.
    """

    number: int
    dataset: str
    epoch: int
    state: State
    sent_at: float
    cells: Bytes

    @property
    def overdue(self) -> bool:
        """Whether nobody will say any more what became of it."""
        return self.state is State.SENT and time.time() - self.sent_at > SETTLED_AFTER_SECONDS


def recorded(names: Bytes, members: Numbers) -> Bytes:
    """The cells of an entry: uint8[n, 48] of names (uint8[n, 32]) and their set hash entries (int64[n, 5])."""
    return np.hstack([names, np.ascontiguousarray(members[:, 1:].astype(">u4")).view(np.uint8)])


def names(cells: Bytes) -> Bytes:
    """Tag and cell id of each: uint8[n, 32]."""
    return cells[:, :_NAME]


def members(cells: Bytes) -> Numbers:
    """What each adds to a set hash: int64[n, 5]."""
    values = np.ascontiguousarray(cells[:, _NAME:]).view(">u4").astype(np.int64)
    return np.column_stack([np.ones(len(values), np.int64), values])


def write(connection: Connection, dataset: str, epoch: int, cells: Bytes, state: State = State.SENT) -> int:
    """Writes an entry and returns its number."""
    row = {"dataset": dataset, "epoch": epoch, "state": state, "cells": cells.tobytes()}
    done = connection.execute(insert(journal), row | {"sent_at_ms": int(time.time() * 1_000)})
    (number,) = done.inserted_primary_key or (0,)
    return int(number)


def unfolded(cursor: DBAPICursor) -> dict[int, State]:
    """The entries whose cells are not in the ledger, and their states. Cost: an index alone is read, never a cell."""
    cursor.execute(f"SELECT entry, state FROM journal WHERE state <> {State.FOLDED:d}")  # noqa: S608
    return {entry: State(state) for entry, state in cursor.fetchall()}


def sizes(cursor: DBAPICursor) -> dict[State, int]:
    """How many entries are in each state. Cost: as `unfolded`."""
    cursor.execute("SELECT state, COUNT(*) FROM journal GROUP BY state")
    return {State(state): int(entries) for state, entries in cursor.fetchall()}


def last(cursor: DBAPICursor) -> int:
    """The number of the newest entry.

    Entries are numbered in the order in which they are committed, since one transaction at a time writes
    (`trusted_store.writing`).
    """
    cursor.execute("SELECT MAX(entry) FROM journal")
    return int(cursor.fetchall()[0][0] or 0)


def since(cursor: DBAPICursor, number: int) -> list[Entry]:
    """The entries of cells that were sent after the one of a number was written."""
    return _entries(cursor, f"entry > {number:d} AND state <> {State.RETIRED:d}")


def retired(connection: Connection, dataset: str, epoch: int, until: int | None) -> list[int]:
    """The numbers of an epoch's retired entries, up to one, that no question can still need."""
    before = int((time.time() - KEPT_SECONDS) * 1_000)
    chosen = [journal.c.dataset == dataset, journal.c.epoch == epoch, journal.c.state == State.RETIRED]
    chosen += [journal.c.entry <= until] if until is not None else []
    return list(connection.scalars(select(journal.c.entry).where(*chosen, journal.c.sent_at_ms < before)))


def of_epoch(connection: Connection, dataset: str, epoch: int) -> list[int]:
    """The numbers of an epoch's entries."""
    chosen = journal.c.dataset == dataset, journal.c.epoch == epoch
    return list(connection.scalars(select(journal.c.entry).where(*chosen)))


def read(cursor: DBAPICursor, wanted: Iterable[int]) -> list[Entry]:
    """The entries of these numbers that are still there."""
    parts = (", ".join(map(str, part)) for part in _parts(sorted(wanted)))
    return [entry for part in parts for entry in _entries(cursor, f"entry IN ({part})")]


def advance(connection: Connection, wanted: Sequence[int], before: State, after: State) -> bool:
    """Takes entries from one state to another; False, and only to be rolled back, unless all were in the first."""
    moved = 0
    for part in _parts(wanted):
        chosen = journal.c.entry.in_(part), journal.c.state == before
        moved += connection.execute(update(journal).where(*chosen).values(state=after)).rowcount
    return moved == len(wanted)


def remove(connection: Connection, number: int, state: State) -> bool:
    """Removes an entry that is in a state; False if there is none."""
    return connection.execute(delete(journal).where(journal.c.entry == number, journal.c.state == state)).rowcount == 1


def drop(connection: Connection) -> None:
    """Drops the entries that are in the ledger and that no question can still need."""
    before = int((time.time() - KEPT_SECONDS) * 1_000)
    connection.execute(delete(journal).where(journal.c.state == State.FOLDED, journal.c.sent_at_ms < before))


def forget(connection: Connection, dataset: str, epoch: int) -> None:
    """Removes every entry of an epoch."""
    connection.execute(delete(journal).where(journal.c.dataset == dataset, journal.c.epoch == epoch))


def _entries(cursor: DBAPICursor, which: str) -> list[Entry]:
    # Every value in the text is a number of our own.
    cursor.execute(f"SELECT entry, dataset, epoch, state, sent_at_ms, cells FROM journal WHERE {which}")  # noqa: S608
    return [
        Entry(
            entry, dataset, epoch, State(state), sent_at / 1_000, np.frombuffer(cells, np.uint8).reshape(-1, _RECORDED)
        )
        for entry, dataset, epoch, state, sent_at, cells in cursor.fetchall()
    ]


def _parts(wanted: Sequence[int]) -> Iterable[Sequence[int]]:
    """No more numbers in a statement than every database takes."""
    return (wanted[begin : begin + 500] for begin in range(0, len(wanted), 500))
