"""What is merged with what: a function of the manifest and the clock, and never of the content of a segment.

So the storage server learns nothing from compaction but what it knows already: when segments came, and how large they
are. Three rules apply, each to the segments of one epoch under one key:

*Fresh* segments become settled ones as soon as there are enough of them, or one is a day old.

*Small* neighbours, of less than half a full segment, are merged once together they fill one, or have `fan_in` times the
records of the largest of them.

*Overlapping* segments that are not small are merged once that makes them almost `fan_in` times as dense: an instant is
then that many times less likely to touch one of them. The measure is the mean, over records, of the logarithm of
records per millisecond in the record's segment (`_gain`). For two equally large layers over the same time it is one
bit; a layer 3.7 times as large as the other is left alone until they differ less.

So each rewrite multiplies the size or the density of a record's segment, and both are bounded: a record is rewritten a
few times, whatever comes (`simulation.py` beside the tests counts). It also follows that compaction ends. The number of
records never grows. Merging small segments leaves fewer of them, and merging overlapping ones creates no small ones,
but makes all denser: disjoint parts of n records over a time w are, by Gibbs' inequality, no less dense in this mean
than n/w, which is the value that is compared.

`fan_in` is 8 as long as neighbours may come, 4 for what is older than a day, 2 when the epoch is over or by command.

Records longer than a day are in segments of their own (`cut.py`), which are merged only with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from math import log2
from typing import NamedTuple

import numpy as np

from privacyplease.proxy.compaction.cut import MOST_FULL
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import DAY
from privacyplease.proxy.segments.groups import Group

# A full segment, unless its cells would grow too large: a question about an hour opens at least one.
FULL_RECORDS = 65_536
# The largest cell that the storage server accepts by default.
MOST_CELL_BYTES = 8 * 1024 * 1024

# Fresh segments are merged when there are this many, or a full segment's records, or the oldest has this age (ms).
MOST_FRESH = 128
OVERDUE = DAY
# By command without `recent`, younger segments are skipped: the next records belong with them.
RECENT = 5 * 60_000

# The limits of one job, so that it fits into memory and its transaction blocks nothing for long: the records of this
# many full segments, bytes on the server, and segments.
JOB_FULL = 32
JOB_BYTES = 64 * 1024 * 1024
JOB_SEGMENTS = 512

# How much denser overlapping segments must become, as a share of the fan-in's logarithm in bits. Less than all of it:
# with a fan-in of two, two layers of which one has a record more would otherwise not be merged.
DENSER = 0.75
# By command, a small gain in bits is enough.
DENSER_BY_COMMAND = 0.25
# Groups of overlapping segments are searched for at several scales, the largest first.
_SCALES = (1, 4, 16)

# Rows that are merged together.
Job = list[ManifestRow]


class PlanInputs(NamedTuple):
    """What a plan depends on besides the rows.

    Attributes:
        full: How many records a full segment has.
        full_bytes: The size of its core, in bytes.
        epoch_end: When the epoch ends, in ms since 1970.
        now: The time, in ms since 1970.
        by_command: Whether to do everything that gains something.
        recent: Whether that includes the last minutes.
    """

    full: int
    full_bytes: int
    epoch_end: int
    now: int
    by_command: bool = False
    recent: bool = True

    @classmethod
    def of(cls, dataset: Dataset, epoch: int, now: int, *, by_command: bool = False, recent: bool = True) -> PlanInputs:
        """The inputs for an epoch of a data set."""
        full = full_records(dataset)
        size = dataset.budgets[Group.CORE.label].size(full)
        return cls(full, size, (epoch + 1) * dataset.epoch, now, by_command, recent)

    def fan_in(self, rows: Iterable[ManifestRow]) -> int:
        """By which factor merging must make these segments larger or denser."""
        if self.by_command or self.epoch_end + DAY < self.now:
            return 2
        return 4 if max(row.summary.last for row in rows) + DAY < self.now else 8

    def is_small(self, row: ManifestRow) -> bool:
        """Whether a settled segment is to be merged with its neighbours; one cut for its size counts as full."""
        return 2 * row.summary.records < self.full and row.groups[Group.CORE].size < self.full_bytes


def full_records(dataset: Dataset) -> int:
    """How many records a full segment of a data set has: few enough that the server accepts its cells."""
    records, budgets = FULL_RECORDS, dataset.budgets.values()
    while records > 1 and any(budget.size(MOST_FULL * records) > MOST_CELL_BYTES for budget in budgets):
        records //= 2
    return records


def plan(rows: Sequence[ManifestRow], inputs: PlanInputs) -> list[Job]:
    """The jobs for the live segments of one epoch under one key; no segment is in two of them."""
    jobs = fresh_jobs([row for row in rows if not row.settled], inputs)
    settled = sorted((row for row in rows if row.settled), key=lambda row: row.summary.longest > DAY)
    for _, lane in groupby(settled, key=lambda row: row.summary.longest > DAY):
        jobs += _settled_jobs(sorted(lane, key=_in_time), inputs)
    return jobs


def fresh_jobs(rows: Sequence[ManifestRow], inputs: PlanInputs) -> list[Job]:
    """The jobs that settle fresh segments: all of them, if they are due."""
    oldest = min((row.changed_at for row in rows), default=inputs.now)
    due = len(rows) >= MOST_FRESH or _records(rows) >= inputs.full or oldest + OVERDUE < inputs.now
    if inputs.by_command:
        chosen = [row for row in rows if inputs.recent or row.changed_at + RECENT < inputs.now]
        return batches(chosen, JOB_FULL * inputs.full)
    return batches(rows, JOB_FULL * inputs.full) if due else []


def batches(rows: Iterable[ManifestRow], records: int) -> list[Job]:
    """All of the rows, in order of time, in jobs of at most `records` records."""
    jobs: list[Job] = []
    count = size = 0
    for row in sorted(rows, key=_in_time):
        count, size = count + row.summary.records, size + row.size
        if not jobs or count > records or size > JOB_BYTES or len(jobs[-1]) == JOB_SEGMENTS:
            jobs.append([])
            count, size = row.summary.records, row.size
        jobs[-1].append(row)
    return jobs


def _settled_jobs(rows: Sequence[ManifestRow], inputs: PlanInputs) -> list[Job]:
    small = [row for row in rows if inputs.is_small(row)]
    large = [row for row in rows if not inputs.is_small(row)]
    jobs = _small_jobs(small, large, inputs)
    if inputs.by_command:
        taken = _numbers(jobs)
        left = [row for row in rows if row.number not in taken]
        jobs += _overlapping_jobs(left, inputs)
        taken = _numbers(jobs)
        return jobs + _absorbed([row for row in rows if row.number not in taken], inputs)
    return jobs + _overlapping_jobs(large, inputs)


def _small_jobs(small: Sequence[ManifestRow], large: Sequence[ManifestRow], inputs: PlanInputs) -> list[Job]:
    """Merges neighbours among small segments, larger ones first: so a record is rewritten once and not twice."""
    jobs: list[Job] = []
    left, between = list(small), list(large)
    for bits in range(inputs.full.bit_length(), 0, -1):
        between += [row for row in left if row.summary.records >> bits]
        left = [row for row in left if not row.summary.records >> bits]
        filling = [job for run in _runs(left, between) for job in _filling(run, inputs)]
        taken = _numbers(filling)
        left = [row for row in left if row.number not in taken]
        jobs += filling
    return jobs


def _runs(rows: Sequence[ManifestRow], between: Sequence[ManifestRow]) -> Iterator[list[ManifestRow]]:
    """Rows in order of time, split wherever a row of `between` lies after all before and before the next."""
    ordered = sorted(between, key=_in_time)
    firsts = np.array([row.summary.first for row in ordered], np.int64)
    lasts = np.array([row.summary.last for row in ordered], np.int64)
    soonest = np.minimum.accumulate(lasts[::-1])[::-1]  # the first end among those that begin there or later
    run: list[ManifestRow] = []
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


def _filling(run: Sequence[ManifestRow], inputs: PlanInputs) -> Iterator[Job]:
    """The jobs of a run of small neighbours: each fills a segment, except the last if it is large enough to gain."""
    job: Job = []
    for row in run:
        count = _records(job)
        if count >= inputs.full or (
            4 * count >= 3 * inputs.full and 4 * (count + row.summary.records) > 5 * inputs.full
        ):
            yield job
            job = []
        job.append(row)
    count, most = _records(job), max(row.summary.records for row in job)
    if len(job) > 1 and (inputs.by_command or count >= inputs.full or count >= inputs.fan_in(job) * most):
        yield job


def _overlapping_jobs(rows: Sequence[ManifestRow], inputs: PlanInputs) -> list[Job]:
    """Merges groups of overlapping segments that become dense enough: large groups and wide segments first.

    Wide and sparse segments are merged with each other before dense ones are merged with them.
    """
    jobs: list[Job] = []
    left = list(rows)
    widths = {_width(row).bit_length() for row in rows}
    for scale in _SCALES:
        for bits in sorted(widths, reverse=True):
            wide = [row for row in left if _width(row).bit_length() >= bits]
            groups = [job for cluster in _clusters(wide) for job in batches(cluster, JOB_FULL * inputs.full // scale)]
            worthwhile = [job for job in groups if len(job) > 1 and _gain(job, inputs) >= _required_gain(job, inputs)]
            taken = _numbers(worthwhile)
            left = [row for row in left if row.number not in taken]
            jobs += worthwhile
    return jobs


def _clusters(rows: Sequence[ManifestRow]) -> Iterator[list[ManifestRow]]:
    """Rows in order of time, split where no segment spans. Two that touch in one instant do not overlap."""
    cluster: list[ManifestRow] = []
    end = 0
    for row in rows:
        if cluster and row.summary.first >= end and row.summary.first > cluster[-1].summary.first:
            yield cluster
            cluster = []
        end = max(end, row.summary.last) if cluster else row.summary.last
        cluster.append(row)
    if cluster:
        yield cluster


def _gain(job: Job, inputs: PlanInputs) -> float:
    """How much denser merging makes the segments, at least: in bits, as the mean over their records."""
    records = np.array([row.summary.records for row in job], np.int64)
    widths = np.array([_width(row) for row in job], np.int64)
    total = int(records.sum())
    # One instant may have more records than a segment; then several segments have that instant only.
    merged_width = _union(job) + total / (MOST_FULL * inputs.full)
    return float((records * np.log2(widths / records)).sum() / total) + log2(total / merged_width)


def _required_gain(job: Job, inputs: PlanInputs) -> float:
    return DENSER_BY_COMMAND if inputs.by_command else DENSER * log2(inputs.fan_in(job))


def _absorbed(rows: Sequence[ManifestRow], inputs: PlanInputs) -> list[Job]:
    """Merges each small segment into a neighbour that has room for it and does not become much wider."""
    jobs: list[Job] = []
    taken: set[int] = set()
    for position, row in enumerate(rows):
        neighbours = (position - 1, position + 1)
        for other in (rows[number] for number in neighbours if 0 <= number < len(rows)):
            pair = sorted([row, other], key=_in_time)
            fits = 4 * _records(pair) <= 5 * inputs.full and _union(pair) <= 2 * _width(other)
            if inputs.is_small(row) and fits and taken.isdisjoint(_numbers([pair])):
                taken |= _numbers([pair])
                jobs.append(pair)
    return jobs


def _in_time(row: ManifestRow) -> tuple[int, int]:
    return row.summary.first, row.number


def _records(rows: Iterable[ManifestRow]) -> int:
    return sum(row.summary.records for row in rows)


def _width(row: ManifestRow) -> int:
    """Over how many milliseconds its records start, including the first and the last."""
    return row.summary.last - row.summary.first + 1


def _union(rows: Sequence[ManifestRow]) -> int:
    return max(row.summary.last for row in rows) - min(row.summary.first for row in rows) + 1


def _numbers(jobs: Iterable[Job]) -> set[int]:
    return {row.number for job in jobs for row in job}
