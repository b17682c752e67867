"""What is merged with what: a function of the manifest and the clock, and never of what is in a segment.

So the storage server learns nothing from compaction but what it knows already: when segments came, and how large they
are. Three rules, each for the segments of one epoch under one key:

*Fresh* segments become settled ones as soon as there are enough of them, or one is a day old.

*Small* neighbours, of less than half a full segment, are merged once together they fill one, or have `fan_in` times the
records of the largest of them.

*Overlapping* segments that are not small are merged once that makes them `fan_in` times as dense, nearly: it is then so
many times less likely that an instant touches one of them. The measure is the mean, over records, of the logarithm of
records a millisecond in the segment where a record lies (`_gain`). Of two layers over the same time that are equally
large it is one bit; a layer that is 3.7 times as large as the other is left alone until they differ less.

Each rewriting so multiplies the size or the density of the segment that a record lies in, and both are bounded: a
record is rewritten a few times, whatever comes (`simulation.py` beside the tests counts). It also follows that
compaction ends. The number of records never grows. Merging small segments leaves fewer of them, and merging overlapping
ones makes none, but makes all denser: disjoint parts of n records over a time w are, by Gibbs' inequality, no less
dense in this mean than n/w, which is what is compared.

`fan_in` is 8, as long as neighbours may come; 4 for what is older than a day; 2 when the epoch is over, or by command.

Records that are longer than a day lie in segments of their own (`cut.py`), which are merged with each other alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import log2
from typing import NamedTuple

import numpy as np

from privacyplease.proxy.compaction.cut import MOST_FULL
from privacyplease.proxy.manifest.rows import Row
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import DAY
from privacyplease.proxy.segments.groups import Group

# A full segment, unless its cells would grow too large: a question about an hour opens at least one.
FULL_RECORDS = 65_536
# What the storage server takes in a cell, with its defaults.
MOST_CELL_BYTES = 8 * 1024 * 1024

# When fresh segments are merged: so many of them, or a full segment's records, or the oldest is of that age (ms).
MOST_FRESH = 128
OVERDUE = DAY
# By command without `recent`, those that are younger are left: what comes next belongs beside them.
RECENT = 5 * 60_000

# What one job may take, so that it fits into memory and its transaction holds nobody up: the records of so many full
# segments, bytes on the server, and segments.
JOB_FULL = 32
JOB_BYTES = 64 * 1024 * 1024
JOB_SEGMENTS = 512

# How much denser overlapping segments must become: of the fan-in's logarithm, in bits. A little less than all of it,
# or two layers of which one has a record more would not be merged with a fan-in of two.
DENSER = 0.75
# By command, whatever is worth a little.
DENSER_BY_COMMAND = 0.25
# Groups of overlapping segments are looked for at several scales, the largest first.
_SCALES = (1, 4, 16)

# Rows that are merged together.
Job = list[Row]


class Circumstances(NamedTuple):
    """What a plan depends on beside the rows.

    Attributes:
        full: How many records a full segment has.
        full_bytes: The size of its core, in bytes.
        epoch_end: When the epoch ends, in ms since 1970.
        now: The time, in ms since 1970.
        by_command: Whether somebody wants all that there is to gain.
        recent: Whether such a command extends to the last minutes.
    """

    full: int
    full_bytes: int
    epoch_end: int
    now: int
    by_command: bool = False
    recent: bool = True

    @classmethod
    def of(
        cls, dataset: Dataset, epoch: int, now: int, *, by_command: bool = False, recent: bool = True
    ) -> Circumstances:
        """Those of an epoch of a data set."""
        full = full_records(dataset)
        size = dataset.budgets[Group.CORE.label].size(full)
        return cls(full, size, (epoch + 1) * dataset.epoch, now, by_command, recent)

    def fan_in(self, rows: Iterable[Row]) -> int:
        """How many times larger or denser merging must make these segments."""
        if self.by_command or self.epoch_end + DAY < self.now:
            return 2
        return 4 if max(row.summary.last for row in rows) + DAY < self.now else 8

    def is_small(self, row: Row) -> bool:
        """Whether a settled segment is to be merged with its neighbours. One that was cut by its bytes looks full."""
        return 2 * row.summary.records < self.full and row.groups[Group.CORE].size < self.full_bytes


def full_records(dataset: Dataset) -> int:
    """How many records a full segment of a data set has: so many that its cells stay below what the server takes."""
    records = FULL_RECORDS
    while records > 1 and any(of.size(MOST_FULL * records) > MOST_CELL_BYTES for of in dataset.budgets.values()):
        records //= 2
    return records


def plan(rows: Sequence[Row], given: Circumstances) -> list[Job]:
    """The jobs that there are to do for the live segments of one epoch under one key; no segment is in two."""
    jobs = fresh_jobs([row for row in rows if not row.settled], given)
    settled = sorted((row for row in rows if row.settled), key=lambda row: row.summary.longest > DAY)
    for _, lane in groupby(settled, key=lambda row: row.summary.longest > DAY):
        jobs += _settled_jobs(sorted(lane, key=_in_time), given)
    return jobs


def fresh_jobs(rows: Sequence[Row], given: Circumstances) -> list[Job]:
    """How fresh segments become settled ones: all of them, if they are due."""
    oldest = min((row.changed_at for row in rows), default=given.now)
    due = len(rows) >= MOST_FRESH or _records(rows) >= given.full or oldest + OVERDUE < given.now
    if given.by_command:
        chosen = [row for row in rows if given.recent or row.changed_at + RECENT < given.now]
        return batches(chosen, JOB_FULL * given.full)
    return batches(rows, JOB_FULL * given.full) if due else []


def batches(rows: Iterable[Row], records: int) -> list[Job]:
    """All of the rows, in order of time, in jobs of at most so many records."""
    jobs: list[Job] = []
    of = size = 0
    for row in sorted(rows, key=_in_time):
        of, size = of + row.summary.records, size + row.size
        if not jobs or of > records or size > JOB_BYTES or len(jobs[-1]) == JOB_SEGMENTS:
            jobs.append([])
            of, size = row.summary.records, row.size
        jobs[-1].append(row)
    return jobs


def _settled_jobs(rows: Sequence[Row], given: Circumstances) -> list[Job]:
    small = [row for row in rows if given.is_small(row)]
    large = [row for row in rows if not given.is_small(row)]
    jobs = _small_jobs(small, large, given)
    if given.by_command:
        taken = _numbers(jobs)
        left = [row for row in rows if row.number not in taken]
        jobs += _overlapping_jobs(left, given)
        taken = _numbers(jobs)
        return jobs + _absorbed([row for row in rows if row.number not in taken], given)
    return jobs + _overlapping_jobs(large, given)


def _small_jobs(small: Sequence[Row], large: Sequence[Row], given: Circumstances) -> list[Job]:
    """Neighbours among small segments, the larger ones first: then a record is rewritten once and not twice."""
    jobs: list[Job] = []
    left, between = list(small), list(large)
    for bits in range(given.full.bit_length(), 0, -1):
        between += [row for row in left if row.summary.records >> bits]
        left = [row for row in left if not row.summary.records >> bits]
        found = [job for run in _runs(left, between) for job in _filling(run, given)]
        taken = _numbers(found)
        left = [row for row in left if row.number not in taken]
        jobs += found
    return jobs


def _runs(rows: Sequence[Row], between: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in order of time, parted where another lies between two of them, after all before and before the next."""
    ordered = sorted(between, key=_in_time)
    firsts = np.array([row.summary.first for row in ordered], np.int64)
    lasts = np.array([row.summary.last for row in ordered], np.int64)
    soonest = np.minimum.accumulate(lasts[::-1])[::-1]  # the first to end of those that begin there or later
    run: list[Row] = []
    end = 0
    for row in rows:
        after = int(np.searchsorted(firsts, end, side="right"))
        if run and after < len(soonest) and soonest[after] < row.summary.first:
            yield run
            run = []
        end = max(end, row.summary.last) if run else row.summary.last
        run.append(row)
    if run:
        yield run


def _filling(run: Sequence[Row], given: Circumstances) -> Iterator[Job]:
    """The jobs of a run of small neighbours: each fills a segment, or the last is large enough for its fan-in."""
    job: Job = []
    for row in run:
        of = _records(job)
        if of >= given.full or (4 * of >= 3 * given.full and 4 * (of + row.summary.records) > 5 * given.full):
            yield job
            job = []
        job.append(row)
    of, most = _records(job), max(row.summary.records for row in job)
    if len(job) > 1 and (given.by_command or of >= given.full or of >= given.fan_in(job) * most):
        yield job


def _overlapping_jobs(rows: Sequence[Row], given: Circumstances) -> list[Job]:
    """Groups of overlapping segments that become dense enough: large groups first, the widest segments first.

    Those that are wide and sparse are merged with each other, before what is dense already is merged with them.
    """
    jobs: list[Job] = []
    left = list(rows)
    widths = {_width(row).bit_length() for row in rows}
    for scale in _SCALES:
        for bits in sorted(widths, reverse=True):
            wide = [row for row in left if _width(row).bit_length() >= bits]
            groups = [job for cluster in _clusters(wide) for job in batches(cluster, JOB_FULL * given.full // scale)]
            found = [job for job in groups if len(job) > 1 and _gain(job, given) >= _wanted(job, given)]
            taken = _numbers(found)
            left = [row for row in left if row.number not in taken]
            jobs += found
    return jobs


def _clusters(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows in order of time, parted where no segment reaches over. Two that touch in one instant do not overlap."""
    cluster: list[Row] = []
    end = 0
    for row in rows:
        if cluster and row.summary.first >= end and row.summary.first > cluster[-1].summary.first:
            yield cluster
            cluster = []
        end = max(end, row.summary.last) if cluster else row.summary.last
        cluster.append(row)
    if cluster:
        yield cluster


def _gain(job: Job, given: Circumstances) -> float:
    """How much denser segments become, at least, if they are merged: in bits, the mean over their records."""
    records = np.array([row.summary.records for row in job], np.int64)
    widths = np.array([_width(row) for row in job], np.int64)
    total = int(records.sum())
    # One instant may have more records than a segment; then several are all of that instant.
    together = _union(job) + total / (MOST_FULL * given.full)
    return float((records * np.log2(widths / records)).sum() / total) + log2(total / together)


def _wanted(job: Job, given: Circumstances) -> float:
    return DENSER_BY_COMMAND if given.by_command else DENSER * log2(given.fan_in(job))


def _absorbed(rows: Sequence[Row], given: Circumstances) -> list[Job]:
    """Each small segment with a neighbour that has room for it and does not become much wider by it."""
    jobs: list[Job] = []
    taken: set[int] = set()
    for at, row in enumerate(rows):
        for other in (rows[beside] for beside in (at - 1, at + 1) if 0 <= beside < len(rows)):
            pair = sorted([row, other], key=_in_time)
            fits = 4 * _records(pair) <= 5 * given.full and _union(pair) <= 2 * _width(other)
            if given.is_small(row) and fits and taken.isdisjoint(_numbers([pair])):
                taken |= _numbers([pair])
                jobs.append(pair)
    return jobs


def _in_time(row: Row) -> tuple[int, int]:
    return row.summary.first, row.number


def _records(rows: Iterable[Row]) -> int:
    return sum(row.summary.records for row in rows)


def _width(row: Row) -> int:
    """Over how many milliseconds its records start, the first and the last included."""
    return row.summary.last - row.summary.first + 1


def _union(rows: Sequence[Row]) -> int:
    return max(row.summary.last for row in rows) - min(row.summary.first for row in rows) + 1


def _numbers(jobs: Iterable[Job]) -> set[int]:
    return {row.number for job in jobs for row in job}
