"""The ledger: what the untrusted server must have, so that it cannot withhold, repeat or roll back unnoticed.

For each tag it knows how many cells are stored and the set hash of their ids. A cell is in the journal before it is
sent (`journal.py`) and is folded into the ledger some time after the server has acknowledged it.

An answer is checked between two looks at that: one before the server is asked, one after it has answered. What was
stored at the first look must come, each cell once. What was on its way at the first look, or has been written down
since, may come or not. Nothing else may.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, Engine, delete, literal_column, select
from sqlalchemy.engine.interfaces import DBAPICursor

from privacyplease.proxy import backups, holdings, journal, sethash
from privacyplease.proxy.errors import CellsMissingError, CellsUnexpectedError, StorageUnavailableError
from privacyplease.proxy.journal import LONGEST_QUESTION_SECONDS, Entry, State
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.prf import BLOCK, Bytes
from privacyplease.proxy.sealing import Cell, Owner
from privacyplease.proxy.sethash import Numbers
from privacyplease.proxy.trusted_store.store import ledger, lock, reading, writing
from privacyplease.proxy.trusted_store.upsert import Columns, inserted_or

# Folding many entries at once is cheaper, for those of one hour share tags; until then every question reads them.
FOLDED_FROM_CELLS = 32_768
FOLDED_FROM_ENTRIES = 64

# As many as a server replaces in one call by default.
RETIRED_TOGETHER = 16_384
TAGS_TOGETHER = 16_384

_TAGS_PER_STATEMENT = 500
_PARTS = [f"hash{part}" for part in range(sethash.WIDTH - 1)]

Names = npt.NDArray[np.bytes_]


class Asked(NamedTuple):
    """What the server is asked for, in one call.

    Attributes:
        dataset: The data set.
        index_name: The index.
        tags: S16[m], ascending.
        epochs: int64[m], the epoch of each.
    """

    dataset: str
    index_name: str
    tags: Names
    epochs: Numbers


class Look(NamedTuple):
    """What is known before the server is asked.

    Attributes:
        at: When, in seconds.
        expected: int64[m, 5], count and set hash of what must come under each tag.
        last: The number of the newest entry of the journal.
        sent: Entries whose cells may come or not, since they are on their way.
        retired: Entries whose cells may come or not, since they are on their way out.
    """

    at: float
    expected: Numbers
    last: int
    sent: list[Entry]
    retired: list[Entry]


class Waiting(NamedTuple):
    """What this proxy has written into the journal since it folded for the last time."""

    entries: int
    cells: int


class LedgerSize(NamedTuple):
    """Entries of the journal by state, and tags in the ledger."""

    entries: dict[State, int]
    tags: int


class Verdict(NamedTuple):
    """How an answer differs from what is stored, at least: wrong tags, cells that lack, and cells too many."""

    tags: int
    missing: int
    unexpected: int

    def check(self) -> None:
        """Passes if nothing differs.

        Raises:
            CellsMissingError: Fewer cells came under some tag than are stored.
            CellsUnexpectedError: Others came than are stored.
        """
        if self.missing > self.unexpected:
            raise CellsMissingError("the storage server withheld cells that it has acknowledged", tags=self.tags)
        if self.tags:
            raise CellsUnexpectedError("the storage server sent cells that are not stored", tags=self.tags)


class Ledger:
    """The ledger and its journal. Safe to use from many threads, and from several proxies over one store."""

    def __init__(self, store: Engine, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._read: dict[int, Entry] = {}
        self._tags: dict[int, Names] = {}
        self._lock = threading.Lock()
        self._folding = threading.Lock()
        self._waiting = Waiting(0, 0)

    def sent(self, cells: Sequence[Cell]) -> list[int]:
        """See `storage.Journal`. Where the cells lie is noted, too."""
        return self.sent_if(cells, lambda connection: holdings.note(connection, cells))

    def sent_if(self, cells: Sequence[Cell], check: Callable[[Connection], None]) -> list[int]:
        """As `sent`, unless what is done in the same transaction raises an error."""
        recorded = [
            (owner, self.recorded(owner, names_of(group))) for owner, group in groupby(cells, lambda c: c.owner)
        ]
        with writing(self._store) as connection:
            check(connection)
            entries = [journal.write(connection, owner.dataset, owner.epoch, of) for owner, of in recorded]
        with self._lock:
            self._waiting = Waiting(self._waiting.entries + len(entries), self._waiting.cells + len(cells))
        return entries

    def stored(self, entries: Sequence[int]) -> None:
        """See `storage.Journal`.

        Raises:
            StorageUnavailableError: The call took so long that it was given up for lost.
        """
        with writing(self._store) as connection:
            if not journal.advance(connection, entries, State.SENT, State.STORED):
                raise StorageUnavailableError("storing cells took too long; send them again")
        self._fold_if_due()

    def look(self, asked: Asked, version: int | None = None) -> Look:
        """What is stored, and what may be, before the server is asked.

        Args:
            asked: What it will be asked for.
            version: `Held.version` of the holdings from which that was worked out: what was retired since must come.
                None: now.
        """
        at = time.time()
        with reading(self._store) as cursor:
            states, last = journal.unfolded(cursor), journal.last(cursor)
            entries = self._entries(cursor, states)
            expected = _totals(cursor, asked.tags)
        since = last if version is None else version
        retired = [entry for entry in entries if states[entry.number] is State.RETIRED and self.touches(entry, asked)]
        required = [entry for entry in entries if states[entry.number] is State.STORED]
        for entry in (*required, *(entry for entry in retired if entry.number > since)):
            expected = sethash.added(expected, _under(asked.tags, entry.cells))
        sent = [entry for entry in entries if states[entry.number] is State.SENT]
        return Look(at, expected, last, sent, [entry for entry in retired if entry.number <= since])

    def judge(self, asked: Asked, look: Look, names: Bytes) -> Verdict:
        """How an answer differs from what is stored, in all. See `compare`."""
        wrong = self.compare(asked, look, names)
        missing, unexpected = wrong.sum(axis=0).tolist()
        return Verdict(int(wrong.any(axis=1).sum()), missing, unexpected)

    def compare(self, asked: Asked, look: Look, names: Bytes) -> Numbers:
        """Compares what came with what was known before, and with what has been sent since.

        Args:
            asked: What was asked for.
            look: What was known before.
            names: uint8[n, 32], tag and cell id of every cell that came; each was asked for and none came twice.

        Returns:
            int64[m, 2]: how many cells are missing and how many unexpected under each tag, at least.

        Raises:
            StorageUnavailableError: The answer took too long for that to be known.
        """
        came = names[self.required(look, names)]
        rows = np.searchsorted(asked.tags, _fixed(came[:, :BLOCK]))
        found = sethash.sums(self._members(asked, came, rows), rows, len(asked.tags))
        more = found[:, 0] - look.expected[:, 0]
        exchanged = (more == 0) & (found != look.expected).any(axis=1)
        return np.column_stack([np.maximum(-more, 0) + exchanged, np.maximum(more, 0) + exchanged])

    def required(self, look: Look, names: Bytes) -> npt.NDArray[np.bool_]:
        """Which of the cells that came had to come: bool[n]. The others are on their way, in or out.

        Raises:
            StorageUnavailableError: The answer took too long for that to be known.
        """
        return ~_among(names, [*look.sent, *look.retired, *self._written_since(look)])

    def settle(self, entry: Entry, present: npt.NDArray[np.bool_]) -> None:
        """Closes an entry that nobody finished: its cells that are present (bool[n]) are stored, the others are not.

        The cells stand in an entry of their own, so that whoever has read the old one keeps what it read.
        """
        with writing(self._store) as connection:
            if journal.remove(connection, entry.number, State.SENT) and present.any():
                journal.write(connection, entry.dataset, entry.epoch, entry.cells[present], State.STORED)

    def fold(self) -> None:
        """Adds what is stored to the ledger, and drops from the journal what nobody needs any more."""
        with self._folding:
            with reading(self._store) as cursor:
                stored = [number for number, state in journal.unfolded(cursor).items() if state is State.STORED]
                entries = journal.read(cursor, stored)
            rows = [row for of in _by_epoch(entries) for row in _rows(of)]
            with self._store.connect() as connection, connection.begin() as transaction:
                lock(connection)
                if not journal.advance(connection, stored, State.STORED, State.FOLDED):
                    transaction.rollback()  # another proxy is folding them
                    return
                _add_rows(connection, rows)
                journal.drop(connection)

    def unfolded(self, asked: Asked) -> bool:
        """Whether cells were sent under any of the tags that are not in the ledger yet."""
        with reading(self._store) as cursor:
            states = journal.unfolded(cursor)
            entries = self._entries(cursor, states)
        return any(states[entry.number] is not State.RETIRED and self.touches(entry, asked) for entry in entries)

    def retire(self, connection: Connection, owner: Owner, names: Bytes) -> None:
        """Takes cells (uint8[n, 32]) out of the ledger: from this transaction on they may come or not."""
        for begin in range(0, len(names), RETIRED_TOGETHER):
            cells = self.recorded(owner, names[begin : begin + RETIRED_TOGETHER])
            number = journal.write(connection, owner.dataset, owner.epoch, cells, State.RETIRED)
            entry = Entry(number, owner.dataset, owner.epoch, State.RETIRED, 0, cells)
            _add_rows(connection, _rows([entry], sign=-1))

    def retired(self, dataset: str, epoch: int) -> Iterator[Entry]:
        """The cells of an epoch that are to go, and that neither a question nor a backup can still need."""
        with self._store.connect() as connection:
            numbers = journal.retired(connection, dataset, epoch, backups.needed_after(connection))
        for number in numbers:
            with reading(self._store) as cursor:
                entries = journal.read(cursor, [number])
            yield from entries

    def collected(self, entry: Entry) -> None:
        """Forgets cells that are gone, and the tags under which there are none any more."""
        with writing(self._store) as connection:
            if journal.remove(connection, entry.number, State.RETIRED):
                _drop_empty(connection, entry.cells[:, :BLOCK])

    def tags(self, dataset: str, epoch: int) -> Iterator[list[bytes]]:
        """Every tag of an epoch under which there may be a cell, some thousands at a time; some more than once."""
        chosen = select(ledger.c.tag).where(ledger.c.dataset == dataset, ledger.c.epoch == epoch)
        with self._store.connect() as connection:
            tags = [bytes(tag) for tag in connection.scalars(chosen)]
            numbers = journal.of_epoch(connection, dataset, epoch)
        yield from (tags[begin : begin + TAGS_TOGETHER] for begin in range(0, len(tags), TAGS_TOGETHER))
        for number in numbers:
            with reading(self._store) as cursor:
                entries = journal.read(cursor, [number])
            yield from (np.unique(_fixed(of.cells[:, :BLOCK])).view(f"V{BLOCK}").tolist() for of in entries)

    def forget_tags(self, tags: Sequence[bytes]) -> None:
        """Removes all that the ledger knows of some tags, whose cells are no more."""
        with writing(self._store) as connection:
            connection.execute(delete(ledger).where(ledger.c.tag.in_(tags)))

    def size(self) -> LedgerSize:
        """How large journal and ledger are. Cost: the ledger's keys are read, about 0.1 s for a million tags."""
        with reading(self._store) as cursor:
            cursor.execute("SELECT COUNT(*) FROM ledger")
            ((tags,),) = cursor.fetchall()
            return LedgerSize(journal.sizes(cursor), tags)

    def waiting(self) -> int:
        """Entries of the journal that are not in the ledger yet."""
        with reading(self._store) as cursor:
            return len(journal.unfolded(cursor))

    def forget(self, dataset: str, epoch: int) -> None:
        """Removes all that is known of an epoch, whose cells are no more."""
        with writing(self._store) as connection:
            journal.forget(connection, dataset, epoch)
            connection.execute(delete(ledger).where(ledger.c.dataset == dataset, ledger.c.epoch == epoch))

    def recorded(self, owner: Owner, names: Bytes) -> Bytes:
        """The cells (uint8[n, 32]) as an entry has them: uint8[n, 48]."""
        key = self._keyring.keys(*owner).ledger
        return journal.recorded(names, sethash.entries(key, names[:, :BLOCK], names[:, BLOCK:]))

    def _members(self, asked: Asked, names: Bytes, rows: Numbers) -> Numbers:
        """What each cell adds to the hash of its tag; `rows` says which tag that is."""
        members = np.zeros((len(names), sethash.WIDTH), np.int64)
        epochs = asked.epochs[rows]
        for epoch in np.unique(epochs).tolist():
            of = np.flatnonzero(epochs == epoch)
            key = self._keyring.keys(asked.dataset, epoch, asked.index_name).ledger
            members[of] = sethash.entries(key, names[of, :BLOCK], names[of, BLOCK:])
        return members

    def _entries(self, cursor: DBAPICursor, states: dict[int, State]) -> list[Entry]:
        """The entries that are not in the ledger. Their cells never change, so each is read once."""
        with self._lock:
            known = {number: entry for number, entry in self._read.items() if number in states}
        if lacking := states.keys() - known.keys():
            known |= {entry.number: entry for entry in journal.read(cursor, lacking)}
        with self._lock:
            self._read = known
            self._tags = {number: tags for number, tags in self._tags.items() if number in known}
        return list(known.values())

    def touches(self, entry: Entry, asked: Asked) -> bool:
        """Whether any of the tags is one of the entry's. There may be many entries, so their tags are sorted once."""
        tags = self._tags.get(entry.number)
        if tags is None:
            tags = self._tags[entry.number] = np.unique(_fixed(entry.cells[:, :BLOCK]))
        found = np.minimum(np.searchsorted(tags, asked.tags), len(tags) - 1)
        return bool((tags[found] == asked.tags).any())

    def _written_since(self, look: Look) -> list[Entry]:
        if time.time() - look.at > LONGEST_QUESTION_SECONDS:
            raise StorageUnavailableError("the storage server took too long to answer")
        with reading(self._store) as cursor:
            return journal.since(cursor, look.last)

    def _fold_if_due(self) -> None:
        with self._lock:
            entries, cells = self._waiting
            if entries < FOLDED_FROM_ENTRIES and cells < FOLDED_FROM_CELLS:
                return
            self._waiting = Waiting(0, 0)
        self.fold()


def _totals(cursor: DBAPICursor, tags: Names) -> Numbers:
    """Count and hash of what the ledger has under each of the tags: int64[m, 5]."""
    found: list[tuple[Any, ...]] = []
    literals = [f"X'{octets.hex()}'" for octets in tags.view("V16").tolist()]
    for begin in range(0, len(literals), _TAGS_PER_STATEMENT):
        chosen = ",".join(literals[begin : begin + _TAGS_PER_STATEMENT])
        # Every value in the text is a hexadecimal literal, which every database reads alike.
        cursor.execute(f"SELECT tag, cells, {', '.join(_PARTS)} FROM ledger WHERE tag IN ({chosen})")  # noqa: S608
        found += cursor.fetchall()
    totals = np.zeros((len(tags), sethash.WIDTH), np.int64)
    if found:
        octets = np.frombuffer(b"".join(row[0] for row in found), np.uint8).reshape(-1, BLOCK)
        totals[np.searchsorted(tags, _fixed(octets))] = np.array([row[1:] for row in found], np.int64)
    return totals


def _under(tags: Names, cells: Bytes) -> Numbers:
    """Count and hash of the cells of an entry that lie under each of the tags: int64[m, 5]."""
    of = _fixed(cells[:, :BLOCK])
    rows = np.minimum(np.searchsorted(tags, of), len(tags) - 1)
    hit = np.flatnonzero(tags[rows] == of)
    return sethash.sums(journal.members(cells[hit]), rows[hit], len(tags))


def _among(names: Bytes, entries: list[Entry]) -> npt.NDArray[np.bool_]:
    """Which of the cells (uint8[n, 32]) are in any of the entries: bool[n]."""
    if not entries or not len(names):
        return np.zeros(len(names), bool)
    listed = _fixed(np.concatenate([journal.names(entry.cells) for entry in entries]))
    return np.isin(_fixed(names), listed)


def _fixed(octets: Bytes) -> Names:
    """Rows of bytes as values that sort and compare: S of their width."""
    return np.ascontiguousarray(octets).view(f"S{octets.shape[1]}").ravel()


def _by_epoch(entries: list[Entry]) -> Iterator[list[Entry]]:
    ordered = sorted(entries, key=lambda entry: (entry.dataset, entry.epoch))
    for _, group in groupby(ordered, key=lambda entry: (entry.dataset, entry.epoch)):
        yield list(group)


def _rows(entries: list[Entry], sign: int = 1) -> Iterator[tuple[object, ...]]:
    """What entries of one epoch add to the ledger: a row for each tag, in the order of the table's columns."""
    cells = np.concatenate([entry.cells for entry in entries])
    tags, sets = np.unique(_fixed(cells[:, :BLOCK]), return_inverse=True)
    totals = (sign * sethash.sums(journal.members(cells), sets, len(tags))).T.tolist()
    owner = repeat(entries[0].dataset), repeat(entries[0].epoch)
    return zip(tags.view("V16").tolist(), *owner, *totals)  # noqa: B905  # `repeat` has no end


def _add_rows(connection: Connection, rows: Iterable[tuple[object, ...]]) -> None:
    if given := list(rows):
        # Past SQLAlchemy's handling of each value, which took most of the time.
        add = inserted_or(connection.dialect, ledger, _sums)
        connection.exec_driver_sql(str(add.compile(dialect=connection.dialect)), given)


def _drop_empty(connection: Connection, tags: Bytes) -> None:
    """Removes the rows of tags (uint8[n, 16]) under which there is nothing."""
    literals = [f"X'{octets.hex()}'" for octets in np.unique(_fixed(tags)).view("V16").tolist()]
    for begin in range(0, len(literals), _TAGS_PER_STATEMENT):
        chosen = ",".join(literals[begin : begin + _TAGS_PER_STATEMENT])
        connection.exec_driver_sql(f"DELETE FROM ledger WHERE cells = 0 AND tag IN ({chosen})")  # noqa: S608


def names_of(cells: Iterable[Cell]) -> Bytes:
    """Tag and cell id of each: uint8[n, 32]."""
    octets = b"".join(cell.tag + cell.cell_id for cell in cells)
    return np.frombuffer(octets, np.uint8).reshape(-1, 2 * BLOCK)


def _sums(given: Columns) -> dict[str, ColumnElement[Any]]:
    """Adds to a tag's row. The database adds by itself, so that two proxies that fold at once lose nothing."""
    kept = ledger.c
    parts = {name: (kept[name] + given[name]).op("&")(literal_column(str(0xFFFFFFFF))) for name in _PARTS}
    return {"cells": kept.cells + given.cells, **parts}
