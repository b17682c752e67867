"""The manifest: every segment and its state, changed in transactions, each of which moves the head on.

The rows lie sealed in the trusted store and opened in memory. Proxies that share the store hear of each other's changes
by the version: a row has that of its last change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from privacyplease.proxy.errors import RolledBackError
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring, manifest_of
from privacyplease.proxy.manifest.changes import Change, SegmentName, StaleError
from privacyplease.proxy.manifest.head import FIRST, Head, HeadKeys, dropped
from privacyplease.proxy.manifest.rows import ROW_LABEL, Row, State, open_row, seal
from privacyplease.proxy.manifest.stored import (
    check_numbers,
    described,
    next_number,
    set_next_number,
    write_head,
    write_rows,
)
from privacyplease.proxy.manifest.view import View
from privacyplease.proxy.manifest.witnesses import Witnesses
from privacyplease.proxy.segments.groups import SegmentId
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.trusted_store.store import reading, writing
from privacyplease.proxy.trusted_store.tables import gone_segments, heads, segments

# So many heads are sent before those that need not stay are deleted.
HEADS_TOGETHER = 64

Rows = dict[SegmentName, Row]


class Committed(NamedTuple):
    """What a change came to.

    Attributes:
        rows: The rows that were added or moved, as they are now.
        head: The new head, to be sent to the storage server; None if it was not asked for.
        outdated: Tags of heads that the server need not keep any more, once it has that one; now and then there are
            some, and nobody else is told of them.
    """

    rows: list[Row]
    head: Cell | None
    outdated: Sequence[Tag] = ()


class Manifest:
    """The manifest of a home. Safe to use from many threads, and from several proxies over one store."""

    def __init__(self, store: Engine, keyring: Keyring, witnesses: Witnesses | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._witnesses = witnesses or Witnesses(())
        self._heads = HeadKeys(keyring)
        self._rows: Rows = {}
        self._views: dict[str, View] = {}
        self._keys: dict[str, Key] = {}
        self._head = FIRST
        self._lock = threading.RLock()

    @property
    def heads(self) -> HeadKeys:
        """What seals and names its heads."""
        return self._heads

    @property
    def witnesses(self) -> Witnesses:
        """Where else its newest head is kept."""
        return self._witnesses

    def head(self) -> Head:
        """The newest head, of this proxy or another that shares the store.

        Raises:
            RolledBackError: The store is older than this proxy has seen it.
        """
        with self._lock:
            self._refresh()
            return self._head

    def view(self, dataset: str) -> View:
        """The live segments of a data set as of now.

        Raises:
            RolledBackError: As `head`.
        """
        with self._lock:
            self._refresh()
            if dataset not in self._views:
                live = (row for row in self._rows.values() if row.dataset == dataset and row.state is State.LIVE)
                self._views[dataset] = View(self._head.version, live)
            return self._views[dataset]

    def rows(self, dataset: str, *states: State) -> list[Row]:
        """The segments of a data set in any of the states, ascending by number; in any state if none is given."""
        with self._lock:
            self._refresh()
            chosen = [row for row in self._rows.values() if row.dataset == dataset]
        return sorted((row for row in chosen if not states or row.state in states), key=lambda row: row.number)

    def numbers(self, dataset: str, count: int) -> list[SegmentId]:
        """Numbers for new segments, which nobody else gets."""
        with writing(self._store) as connection:
            first = next_number(connection, dataset)
            set_next_number(connection, dataset, first + count)
        return [SegmentId(number) for number in range(first, first + count)]

    def next_number(self, dataset: str) -> int:
        """The number that the next segment of a data set gets."""
        with self._store.connect() as connection:
            return next_number(connection, dataset)

    def skip_numbers(self, dataset: str, first: int) -> None:
        """Lets the numbers of a data set go on from one that is no lower than any that was given out."""
        with writing(self._store) as connection:
            set_next_number(connection, dataset, max(first, next_number(connection, dataset)))

    def commit(
        self, change: Change, *, announced: bool = False, check: Callable[[Connection], None] = lambda _: None
    ) -> Committed:
        """Makes a change, durably, and moves the head on.

        Args:
            change: What is done.
            announced: Whether the new head goes to the storage server: it then counts in the sequence of those.
            check: Is asked in the transaction; an error that it raises rolls all back.

        Raises:
            StaleError: A segment is not in the state any more that it is to be moved from; or the number of one that is
                added has waited for too long.
            RolledBackError: As `head`.
        """
        with self._lock:
            for name in change.names:
                self._key(name.dataset)  # a key is made in a transaction of its own, which would wait for this one
            with writing(self._store) as connection:
                self._refresh_from(connection)
                check(connection)
                check_numbers(connection, change.added)
                version, now = self._head.version + 1, int(time.time() * 1_000)
                rows = [row._replace(version=version, changed_at=now) for row in [*change.added, *self._moved(change)]]
                sealed = [seal(row, self._key(row.dataset)) for row in rows]
                write_rows(connection, rows, sealed, change, version)
                link = self._heads.linked(self._head, version, described(rows, sealed, change))
                head = Head(self._head.sequence + announced, version, link, now)
                cell = self._heads.seal(head)
                write_head(connection, version, cell)
            self._apply(rows, change.removed, head)
        self._witnesses.record(self._heads.home, head.version, cell)
        if not announced:
            return Committed(rows, None)
        full = head.sequence % HEADS_TOGETHER == 0
        return Committed(rows, cell, self._heads.tags(dropped(head.sequence, HEADS_TOGETHER)) if full else ())

    def overtake(self, newer: Head) -> Cell:
        """Goes on from an older state, as an administrator has decided: the next head is newer than any that was seen.

        Returns:
            The head to send to the storage server.
        """
        with self._lock:
            with writing(self._store) as connection:
                self._refresh_from(connection)
                version = max(self._head.version, newer.version) + 1
                link = self._heads.linked(self._head, version, [b"overtaken", newer.link])
                sequence = max(self._head.sequence, newer.sequence) + 1
                head = Head(sequence, version, link, int(time.time() * 1_000))
                cell = self._heads.seal(head)
                write_head(connection, version, cell)
            self._head = head
        self._witnesses.record(self._heads.home, head.version, cell)
        return cell

    def size(self) -> dict[State, int]:
        """How many segments are in each state."""
        with self._lock:
            self._refresh()
            states = [row.state for row in self._rows.values()]
        return {state: states.count(state) for state in State}

    @property
    def outgrown(self) -> int:
        """How many cells are larger than cells of as many records should be. Of live segments."""
        with self._lock:
            return sum(row.outgrown for row in self._rows.values() if row.state is State.LIVE)

    def _moved(self, change: Change) -> Iterable[Row]:
        for name, before, after in change.moved:
            row = self._rows.get(name)
            if row is None or row.state is not before:
                raise StaleError
            yield row._replace(state=after)

    def _apply(self, rows: Iterable[Row], removed: Iterable[SegmentName], head: Head) -> None:
        touched = set()
        for row in rows:
            self._rows[SegmentName(row.dataset, row.number)] = row
            touched.add(row.dataset)
        for name in removed:
            self._rows.pop(name, None)
            touched.add(name.dataset)
        for dataset in touched:
            self._views.pop(dataset, None)
        self._head = head

    def _refresh(self) -> None:
        """Hears of what others have changed. Past SQLAlchemy's handling of statements: each question does it."""
        with reading(self._store) as cursor:
            cursor.execute("SELECT version FROM heads")
            found = cursor.fetchall()
        version = found[0][0] if found else 0
        if version != self._head.version:
            with self._store.connect() as connection:
                self._refresh_from(connection)

    def _refresh_from(self, connection: Connection) -> None:
        stored = connection.execute(select(heads)).one_or_none()
        version = stored.version if stored else 0
        if version < self._head.version:
            raise RolledBackError("the trusted store is older than this proxy has seen it")
        if stored is None or version == self._head.version:
            return
        head = self._heads.open(Cell(Tag(bytes(stored.tag)), Sealed(bytes(stored.sealed))))
        if head is None or head.version != version:  # the version beside it is not sealed
            raise RolledBackError("the head of the manifest in the trusted store does not open, or is another")
        since = self._head.version
        if since < stored.gone_since:
            self._rows, self._views, since = {}, {}, 0
        changed = connection.execute(select(segments).where(segments.c.version > since)).all()
        gone = connection.execute(select(gone_segments).where(gone_segments.c.version > since)).all()
        rows = [
            open_row(bytes(row.sealed), self._key(row.dataset), row.dataset, row.number, row.state, row.version)
            for row in changed
        ]
        self._apply(rows, [SegmentName(row.dataset, SegmentId(row.number)) for row in gone], head)

    def _key(self, dataset: str) -> Key:
        """What seals the rows of a data set. Made on first use, and so never first in a transaction."""
        if dataset not in self._keys:
            owner = manifest_of(dataset)
            made = self._keyring.generations(owner, 0)
            key = made[-1] if made else self._keyring.ensure(owner, 0)
            self._keys[dataset] = self._keyring.derived(owner, key, ROW_LABEL)
        return self._keys[dataset]
