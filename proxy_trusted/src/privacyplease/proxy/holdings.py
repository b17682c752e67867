"""Which part of time holds data, and where it lies: what a question must ask for, and what it need not.

A cell lies in an open bucket, to which cells are appended for ever, or in a *run*: what compaction made of open buckets
and of other runs, one cell a bin, written once. The design page tells how the one becomes the other.

What is noted is at least what the server has: an open bucket is noted with the intent to send cells to it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, Self

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from privacyplease.proxy import journal
from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval, Timeline
from privacyplease.proxy.sealing import Bucket, Cell
from privacyplease.proxy.tags import ROLLUP_LEVEL, RUN_LEVEL, Numbers
from privacyplease.proxy.trusted_store.store import open_buckets, reading, runs
from privacyplease.proxy.trusted_store.upsert import Columns, inserted_or


class OpenBucket(NamedTuple):
    """A bucket that may hold cells.

    Attributes:
        epoch: Its epoch.
        bucket: Level and number.
        calls: How many calls were begun that send cells to it.
        cells: How many cells they sent, at most.
        sealed_bytes: How large these are together, at most.
        opened_at: When the first of them was begun, in ms since 1970.
        written_at: When the last was.
    """

    epoch: int
    bucket: Bucket
    calls: int
    cells: int
    sealed_bytes: int
    opened_at: int
    written_at: int

    @property
    def place(self) -> Place:
        """Where its cells lie."""
        return Place(self.epoch, *self.bucket)


class Run(NamedTuple):
    """Records that were compacted together.

    Attributes:
        number: Tells it from every other run that ever was.
        epoch: Its epoch.
        first: When the first record starts, in ms.
        last: When the last one starts.
        reach: When the last one to end ends.
        shortest: The duration of the shortest record, in ms.
        longest: That of the longest.
        records: How many there are.
        size: What its fullest bin takes on the server, in bytes.
        rolled_up: Whether there is a roll-up beside it (`rollups.py`).
    """

    number: int
    epoch: int
    first: int
    last: int
    reach: int
    shortest: int
    longest: int
    records: int
    size: int
    rolled_up: bool = False

    @classmethod
    def of(cls, starts: Numbers, ends: Numbers, *, number: int, epoch: int, size: int) -> Self:
        """Describes the run of some records, by when each starts and ends: int64[n], n at least 1."""
        durations = ends - starts
        return cls(
            number,
            epoch,
            int(starts.min()),
            int(starts.max()),
            int(ends.max()),
            int(durations.min()),
            int(durations.max()),
            len(starts),
            size,
        )

    @property
    def place(self) -> Place:
        """Where its cells lie."""
        return Place(self.epoch, RUN_LEVEL, self.number)

    @property
    def rollup(self) -> Place:
        """Where those of its roll-up lie."""
        return Place(self.epoch, ROLLUP_LEVEL, self.number)


class Place(NamedTuple):
    """Where cells lie, one for each bin at least: what a tag is made of, but for the bin.

    Attributes:
        epoch: The epoch.
        level: That of a bucket, `RUN_LEVEL` or `ROLLUP_LEVEL`.
        number: That of the bucket, or of the run.
    """

    epoch: int
    level: int
    number: int


class Held(NamedTuple):
    """Where an index holds data at some moment.

    Attributes:
        version: The number of the journal's newest entry then.
        at: When that was, in seconds.
        buckets: Open buckets, ascending by epoch.
        runs: Runs, ascending by epoch.
    """

    version: int
    at: float
    buckets: list[OpenBucket]
    runs: list[Run]

    @property
    def places(self) -> list[Place]:
        """Where records lie."""
        return [bucket.place for bucket in self.buckets] + [run.place for run in self.runs]

    @property
    def rollups(self) -> list[Place]:
        """Where roll-ups lie."""
        return [run.rollup for run in self.runs if run.rolled_up]


class Holdings:
    """Reads where data sets hold data. Safe to use from many threads."""

    def __init__(self, store: Engine) -> None:
        self._store = store

    def overlapping(self, dataset: str, index: str, timeline: Timeline, interval: Interval) -> Held:
        """Where records can lie that overlap an interval, in one state of the store. Erased epochs hold none."""
        at = time.time()
        with reading(self._store) as cursor:
            version = journal.last(cursor)
            cursor.execute(self._sql(_opened(len(timeline.widths))), _starting(dataset, index, timeline, interval))
            found = [_bucket(row) for row in cursor.fetchall()]
            cursor.execute(self._sql(_LIVE), (dataset, index, interval.end, interval.start))
            live = [Run(*row) for row in cursor.fetchall()]
            cursor.execute(self._sql("SELECT epoch FROM erasures WHERE dataset = ?"), (dataset,))
            erased = {epoch for (epoch,) in cursor.fetchall()}
        buckets = [of for of in found if of.epoch not in erased and _meets(of, timeline, interval)]
        return Held(version, at, buckets, [run for run in live if run.epoch not in erased])

    def all(self, dataset: str, index: str, timeline: Timeline) -> Held:
        """Where there is anything at all."""
        return self.overlapping(dataset, index, timeline, Interval(EARLIEST, LATEST))

    def _sql(self, text: str) -> str:
        """The text with the driver's own placeholder."""
        return text if self._store.dialect.paramstyle == "qmark" else text.replace("?", "%s")


def note(connection: Connection, cells: Iterable[Cell]) -> None:
    """Notes that cells may lie in their buckets from now on. Whoever takes a note away waits for this transaction."""
    sent: dict[tuple[str, str, int, int, int], list[int]] = {}
    for cell in cells:
        if cell.bucket is not None:
            place = (cell.owner.dataset, cell.owner.index_name, *cell.bucket, cell.owner.epoch)
            counted = sent.setdefault(place, [0, 0])
            counted[0] += 1
            counted[1] += len(cell.sealed)
    now = int(time.time() * 1_000)
    rows = [(*place, 1, *counted, now, now) for place, counted in sorted(sent.items())]
    if rows:
        noted = inserted_or(connection.dialect, open_buckets, _counted)
        connection.exec_driver_sql(str(noted.compile(dialect=connection.dialect)), rows)


def close(connection: Connection, dataset: str, index: str, buckets: Iterable[OpenBucket]) -> None:
    """Takes the notes of buckets away to which nothing was sent since they were read."""
    held = open_buckets.c
    for bucket in buckets:
        place = held.level == bucket.bucket.level, held.bucket == bucket.bucket.number, held.epoch == bucket.epoch
        whose = held.dataset == dataset, held.index_name == index, held.calls == bucket.calls
        connection.execute(delete(open_buckets).where(*whose, *place))


def fill(connection: Connection, dataset: str, index: str, buckets: Iterable[Place], live: Iterable[Run]) -> None:
    """Notes in an empty store what another one has."""
    nothing = dict.fromkeys(("calls", "cells", "sealed_bytes", "opened_at_ms", "written_at_ms"), 0)
    whose = {"dataset": dataset, "index_name": index}
    for epoch, level, number in buckets:
        place = {"epoch": epoch, "level": level, "bucket": number}
        connection.execute(insert(open_buckets).values(**whose, **place, **nothing))
    for run in live:
        row = dict(zip(("number", *_RUN_COLUMNS), run, strict=True))
        connection.execute(insert(runs).values(**whose, **row, live=True))


def plan_run(connection: Connection, dataset: str, index: str, run: Run) -> int:
    """Notes a run that is going to be written, and returns its number."""
    row = dict(zip(_RUN_COLUMNS, run[1:], strict=True)) | {"dataset": dataset, "index_name": index, "live": False}
    (number,) = connection.execute(runs.insert(), row).inserted_primary_key or (0,)
    return int(number)


def unused_run(connection: Connection) -> int:
    """A number that no run has had yet; those of later runs are higher."""
    number = plan_run(connection, "", "", Run(0, 0, 0, 0, 0, 0, 0, 0, 0))
    drop_run(connection, number)
    return number


def run_numbers(connection: Connection, first: int) -> set[int]:
    """The numbers of runs, live or not, from one on."""
    return set(connection.scalars(select(runs.c.number).where(runs.c.number >= first)))


def skip_runs(connection: Connection) -> None:
    """Lets the numbers of runs go on from a random one that is far higher than any before."""
    number = ((unused_run(connection) >> _SKIPPED_BITS) + 1 + secrets.randbelow(1 << 24)) << _SKIPPED_BITS
    row = dict.fromkeys(_RUN_COLUMNS, 0) | {"number": number, "dataset": "", "index_name": "", "live": False}
    connection.execute(insert(runs), row)
    drop_run(connection, number)


def switch(connection: Connection, old: Sequence[int], new: Sequence[int]) -> bool:
    """Puts new runs in the place of old ones; False, and only to be rolled back, unless they were as expected."""
    gone = sum(connection.execute(delete(runs).where(runs.c.number == number, runs.c.live)).rowcount for number in old)
    rows = (update(runs).where(runs.c.number == number, ~runs.c.live).values(live=True) for number in new)
    return gone == len(old) and sum(connection.execute(row).rowcount for row in rows) == len(new)


def unfinished(connection: Connection, dataset: str, index: str, epoch: int) -> list[int]:
    """The numbers of runs that were going to be written and are not live."""
    whose = runs.c.dataset == dataset, runs.c.index_name == index, runs.c.epoch == epoch
    return list(connection.scalars(select(runs.c.number).where(*whose, ~runs.c.live)))


def drop_run(connection: Connection, number: int) -> None:
    """Removes the note of a run that was going to be written."""
    connection.execute(delete(runs).where(runs.c.number == number, ~runs.c.live))


def epochs(connection: Connection, dataset: str, index: str) -> list[int]:
    """The epochs in which there is anything, ascending."""
    found: set[int] = set()
    for table in (open_buckets, runs):
        whose = table.c.dataset == dataset, table.c.index_name == index
        found |= set(connection.scalars(select(table.c.epoch).where(*whose).distinct()))
    return sorted(found)


def waiting(connection: Connection) -> dict[str, tuple[int, int]]:
    """How many open buckets there are in each data set, and how many cells in them, at most."""
    held = open_buckets.c
    query = select(held.dataset, func.count(), func.sum(held.cells)).group_by(held.dataset)
    return {dataset: (int(buckets), int(cells)) for dataset, buckets, cells in connection.execute(query)}


def forget(connection: Connection, dataset: str, epoch: int) -> None:
    """Removes all that is noted of an epoch."""
    for table in (open_buckets, runs):
        connection.execute(delete(table).where(table.c.dataset == dataset, table.c.epoch == epoch))


# More runs than any store comes to.
_SKIPPED_BITS = 32

_RUN_COLUMNS = ("epoch", "first_start", "last_start", "reach", "shortest", "longest", "records", "size", "rolled_up")
_LIVE = (
    f"SELECT number, {', '.join(_RUN_COLUMNS)} FROM runs "  # noqa: S608  # names of our own
    "WHERE dataset = ? AND index_name = ? AND live AND first_start <= ? AND reach >= ? ORDER BY epoch"
)
_BUCKET_COLUMNS = "epoch, level, bucket, calls, cells, sealed_bytes, opened_at_ms, written_at_ms"


@cache
def _opened(levels: int) -> str:
    """The open buckets of an index in a range of numbers for each level, which is a range of the primary key.

    One text for every question, so that the database reads it once.
    """
    parts = (
        f"SELECT {_BUCKET_COLUMNS} FROM open_buckets "  # noqa: S608  # names and numbers of our own
        f"WHERE dataset = ? AND index_name = ? AND level = {level} AND bucket BETWEEN ? AND ?"
        for level in range(levels)
    )
    return " UNION ALL ".join(parts) + " ORDER BY epoch"


def _starting(dataset: str, index: str, timeline: Timeline, interval: Interval) -> list[str | int]:
    """For each level the numbers of buckets that can hold a record that overlaps the interval."""
    values: list[str | int] = []
    for level, width in enumerate(timeline.widths.tolist()):
        starts = timeline.starting(interval, level)
        values += (dataset, index, starts.start // width, starts.end // width)
    return values


def _bucket(row: Sequence[int]) -> OpenBucket:
    epoch, level, number, *counted = row
    return OpenBucket(epoch, Bucket(level, number), *counted)


def _meets(bucket: OpenBucket, timeline: Timeline, interval: Interval) -> bool:
    """Whether the bucket's part of its epoch can hold a record that overlaps the interval."""
    held = timeline.covered(bucket.epoch, *bucket.bucket)
    wanted = timeline.starting(interval, bucket.bucket.level)
    return held.start <= wanted.end and wanted.start <= held.end


def _counted(given: Columns) -> dict[str, ColumnElement[Any]]:
    kept = open_buckets.c
    sums = {name: kept[name] + given[name] for name in ("calls", "cells", "sealed_bytes")}
    return {**sums, "written_at_ms": given.written_at_ms}
