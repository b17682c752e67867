"""The manifest: every segment and its state, changed in transactions that each advance the head.

The rows are sealed in the trusted store and opened in memory. Proxies that share the store learn of each other's
changes by the version: a row carries the version of its last change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Engine, select

from privacyplease.proxy import clock
from privacyplease.proxy.errors import RolledBackError
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.wrapped_keys import KeyName, is_erased, manifest_of
from privacyplease.proxy.manifest.changes import Change, SegmentName, StaleError
from privacyplease.proxy.manifest.head import FIRST, Head, HeadKeys, dropped
from privacyplease.proxy.manifest.rows import ROW_LABEL, ManifestRow, SegmentState, open_row, seal
from privacyplease.proxy.manifest.statements import (
    check_numbers,
    described,
    next_number,
    set_next_number,
    write_head,
    write_rows,
)
from privacyplease.proxy.manifest.view import ManifestView
from privacyplease.proxy.manifest.witnesses import Witnesses
from privacyplease.proxy.segments.groups import SegmentId
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.trusted_store.store import reading, writing
from privacyplease.proxy.trusted_store.tables import gone_segments, heads, segments

# How many heads are sent before the server is told to delete those that it need not keep.
HEADS_TOGETHER = 64

RowsByName = dict[SegmentName, ManifestRow]


class Committed(NamedTuple):
    """The outcome of a change.

    Attributes:
        rows: The rows that were added or moved, as they are now.
        head: The new head, to be sent to the storage server; None unless the change was announced.
        outdated: Tags of heads that the server need not keep once it has the new one. They are reported only here,
            once in `HEADS_TOGETHER` heads.
    """

    rows: list[ManifestRow]
    head: Cell | None
    outdated: Sequence[Tag] = ()


class Manifest:
    """The manifest of a home. Safe to use from many threads, and from several proxies over one store."""

    def __init__(self, store: Engine, keyring: Keyring, witnesses: Witnesses | None = None) -> None:
        self._store = store
        self._keyring = keyring
        self._witnesses = witnesses or Witnesses(())
        self._heads = HeadKeys(keyring)
        self._rows: RowsByName = {}
        self._views: dict[str, ManifestView] = {}
        self._keys: dict[str, Key] = {}
        self._head = FIRST
        self._lock = threading.RLock()

    @property
    def heads(self) -> HeadKeys:
        """The keys that seal and name its heads."""
        return self._heads

    @property
    def witnesses(self) -> Witnesses:
        """The witnesses that keep its newest head."""
        return self._witnesses

    def head(self) -> Head:
        """The newest head, of this proxy or another that shares the store.

        Raises:
            RolledBackError: The store has a lower version than this proxy has seen.
        """
        with self._lock:
            self._refresh()
            return self._head

    def view(self, dataset: str) -> ManifestView:
        """The live segments of a data set as of now.

        Raises:
            RolledBackError: As `head`.
        """
        with self._lock:
            self._refresh()
            if dataset not in self._views:
                live = (row for row in self._rows.values() if row.dataset == dataset and row.state is SegmentState.LIVE)
                self._views[dataset] = ManifestView(self._head.version, live)
            return self._views[dataset]

    def rows(self, dataset: str, *states: SegmentState) -> list[ManifestRow]:
        """The segments of a data set in any of the states, ascending by number; in any state if none is given."""
        with self._lock:
            self._refresh()
            chosen = [row for row in self._rows.values() if row.dataset == dataset]
        return sorted((row for row in chosen if not states or row.state in states), key=lambda row: row.number)

    def numbers(self, dataset: str, count: int) -> list[SegmentId]:
        """Numbers for new segments, which are never assigned again."""
        with writing(self._store) as connection:
            first = next_number(connection, dataset)
            set_next_number(connection, dataset, first + count)
        return [SegmentId(number) for number in range(first, first + count)]

    def next_number(self, dataset: str) -> int:
        """The next number for a segment of a data set."""
        with self._store.connect() as connection:
            return next_number(connection, dataset)

    def skip_numbers(self, dataset: str, first: int) -> None:
        """Makes the numbers of a data set continue from `first`, unless higher ones have been assigned."""
        with writing(self._store) as connection:
            set_next_number(connection, dataset, max(first, next_number(connection, dataset)))

    def commit(
        self,
        change: Change,
        *,
        announced: bool = False,
        check: Callable[[Connection], None] = lambda _: None,
        destroyed: int = 0,
    ) -> Committed:
        """Makes a change, durably, and advances the head.

        Args:
            change: What to do.
            announced: Whether the new head is sent to the storage server; it then counts in the sequence of those.
            check: Called in the transaction; an error that it raises rolls everything back.
            destroyed: How many keys are on the list of destroyed ones, if there are more than before.

        Raises:
            StaleError: A segment is no longer in the state that it is to be moved from; or the number of an added
                segment was reserved too long ago, or its key was erased.
            RolledBackError: As `head`.
        """
        with self._lock:
            for name in change.names:
                self._key(name.dataset)  # a key is made in its own transaction, which would wait for this one
            with writing(self._store) as connection:
                self._refresh_from(connection)
                check(connection)
                _refuse_erased(connection, change.added)
                check_numbers(connection, change.added)
                version, now = self._head.version + 1, int(clock.steady() * 1_000)
                rows = [row._replace(version=version, changed_at=now) for row in [*change.added, *self._moved(change)]]
                sealed = [seal(row, self._key(row.dataset)) for row in rows]
                write_rows(connection, rows, sealed, change, version)
                link = self._heads.linked(self._head, version, described(rows, sealed, change))
                listed = max(self._head.destroyed, destroyed)
                head = Head(self._head.sequence + announced, version, link, int(time.time() * 1_000), listed)
                cell = self._heads.seal(head)
                write_head(connection, version, cell)
            self._apply(rows, change.removed, head)
        self._witnesses.record(self._heads.home, head.version, cell)
        if not announced:
            return Committed(rows, None)
        full = head.sequence % HEADS_TOGETHER == 0
        return Committed(rows, cell, self._heads.tags(dropped(head.sequence, HEADS_TOGETHER)) if full else ())

    def overtake(self, newer: Head, destroyed: int = 0) -> Cell:
        """Continues from an older state, as an administrator has decided, with a head that is newer than any known one.

        Args:
            newer: The newest head that is known.
            destroyed: As `commit`.

        Returns:
            The head to send to the storage server.
        """
        with self._lock:
            with writing(self._store) as connection:
                self._refresh_from(connection)
                version = max(self._head.version, newer.version) + 1
                link = self._heads.linked(self._head, version, [b"overtaken", newer.link])
                sequence = max(self._head.sequence, newer.sequence) + 1
                listed = max(self._head.destroyed, newer.destroyed, destroyed)
                head = Head(sequence, version, link, int(time.time() * 1_000), listed)
                cell = self._heads.seal(head)
                write_head(connection, version, cell)
            self._head = head
        self._witnesses.record(self._heads.home, head.version, cell)
        return cell

    def size(self) -> dict[SegmentState, int]:
        """How many segments are in each state."""
        with self._lock:
            self._refresh()
            states = [row.state for row in self._rows.values()]
        return {state: states.count(state) for state in SegmentState}

    @property
    def outgrown(self) -> int:
        """How many cells of live segments exceed the size for their number of records."""
        with self._lock:
            return sum(row.outgrown for row in self._rows.values() if row.state is SegmentState.LIVE)

    def _moved(self, change: Change) -> Iterable[ManifestRow]:
        for name, before, after in change.moved:
            row = self._rows.get(name)
            if row is None or row.state is not before:
                raise StaleError
            yield row._replace(state=after)

    def _apply(self, rows: Iterable[ManifestRow], removed: Iterable[SegmentName], head: Head) -> None:
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
        """Reads what others have changed. It bypasses SQLAlchemy's statements, because every question does it."""
        with reading(self._store) as cursor:
            cursor.execute("SELECT version FROM heads")
            versions = cursor.fetchall()
        version = versions[0][0] if versions else 0
        if version != self._head.version:
            with self._store.connect() as connection:
                self._refresh_from(connection)

    def _refresh_from(self, connection: Connection) -> None:
        stored = connection.execute(select(heads)).one_or_none()
        version = stored.version if stored else 0
        if version < self._head.version:
            raise RolledBackError(
                f"the trusted store went back from version {self._head.version:,} of its manifest to {version:,}"
            )
        if stored is None or version == self._head.version:
            return
        head = self._heads.open(Cell(Tag(bytes(stored.tag)), Sealed(bytes(stored.sealed))))
        if head is None or head.version != version:  # the version stored beside the head is not sealed
            raise RolledBackError("the manifest's head in the trusted store does not open, or has another version")
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
        """The key that seals the rows of a data set. Made on first use, which must not be within a transaction."""
        if dataset not in self._keys:
            owner = manifest_of(dataset)
            generations = self._keyring.generations(owner, 0)
            key = generations[-1] if generations else self._keyring.ensure(owner, 0)
            self._keys[dataset] = self._keyring.derived(owner, key, ROW_LABEL)
        return self._keys[dataset]


def _refuse_erased(connection: Connection, added: Iterable[ManifestRow]) -> None:
    """Raises `StaleError` if a key was erased, maybe by another proxy: no segment under it is added any more."""
    if any(is_erased(connection, name) for name in {KeyName(row.dataset, row.key) for row in added}):
        raise StaleError
