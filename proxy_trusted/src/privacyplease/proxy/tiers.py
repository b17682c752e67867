"""Tiers: which open buckets and runs are merged with which, as a function of what there is and of the clock.

Open buckets become runs once they have closed: together where their day or epoch is over, else each for itself.
Neighbouring runs are merged by the day, and by the epoch, once that is over, for as long as what comes out is no larger
than one cell should be. So a run covers little time where there is much data, and much time where there is little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from privacyplease.proxy.holdings import OpenBucket, Run
from privacyplease.proxy.records.timeline import GENERATION, Interval, Timeline

DAY = 86_400_000

# What the cell of a run's fullest bin aims at, in bytes. A question about an hour opens at least one such cell; one
# about a year opens as many as its data takes.
TARGET_BYTES = 512 * 1024
# How much sealed data is merged at once, at most, unless one bucket has more: what it opens into is in memory.
MOST_BYTES = 16 * 1024 * 1024

# For how long nothing must have come to a bucket: what comes late often comes in bulk.
QUIET = 5 * 60_000
# After that long it is compacted, whatever comes.
OVERDUE = DAY


class Job(NamedTuple):
    """What is to be merged, all of one epoch.

    Attributes:
        buckets: Open buckets.
        runs: Runs.
        narrower: The width of the next narrower tier, in ms. Where not all fits into one run, records that are longer
            have runs of their own.
    """

    buckets: list[OpenBucket]
    runs: list[Run]
    narrower: int


def closed(bucket: OpenBucket, timeline: Timeline, now: int) -> bool:
    """Whether no more records are expected in a bucket: it is over, and so are the records that began in it."""
    return timeline.covered(bucket.epoch, *bucket.bucket).end + min(_width(bucket, timeline), DAY) < now


def due(bucket: OpenBucket, timeline: Timeline, now: int) -> bool:
    """Whether a bucket is to be compacted at some instant, in ms."""
    quiet = bucket.written_at + QUIET < now
    return (quiet and closed(bucket, timeline, now)) or bucket.opened_at + OVERDUE < now


def fills(buckets: Iterable[OpenBucket], runs: Sequence[Run], timeline: Timeline, now: int) -> list[Job]:
    """How open buckets become runs, each with the runs that it overlaps in time and duration.

    Args:
        buckets: What is to be compacted, of one epoch.
        runs: All runs of the epoch.
        timeline: The data set's.
        now: In ms since 1970.
    """
    jobs: list[Job] = []
    for part in _parts(buckets, timeline, now):
        touched = {run.number: run for run in runs if any(_overlap(bucket, run, timeline) for bucket in part)}
        sharing = [job for job in jobs if any(run.number in touched for run in job.runs)]
        jobs = [job for job in jobs if job not in sharing]
        touched |= {run.number: run for job in sharing for run in job.runs}
        joined = [bucket for job in sharing for bucket in job.buckets] + part
        narrower = DAY if _is_over(part[0].epoch, timeline, now) else timeline.base
        jobs.append(Job(joined, list(touched.values()), narrower))
    return jobs


def merges(runs: Sequence[Run], timeline: Timeline, now: int) -> list[Job]:
    """Which runs of an epoch are merged with their neighbours."""
    if not runs:
        return []
    if _is_over(runs[0].epoch, timeline, now):
        return _merged(runs, DAY)
    days = groupby(sorted(runs, key=lambda run: run.first), key=lambda run: run.first // DAY)
    return [job for day, of in days if (day + 1) * DAY < now for job in _merged(list(of), timeline.base)]


def _parts(buckets: Iterable[OpenBucket], timeline: Timeline, now: int) -> Iterator[list[OpenBucket]]:
    """Buckets that become runs together: those of an epoch or a day that is over, as many as may be merged at once."""

    def window(bucket: OpenBucket) -> tuple[int, int, int]:
        if _is_over(bucket.epoch, timeline, now):
            return 0, 0, 0
        day = timeline.covered(bucket.epoch, *bucket.bucket).start // DAY
        whole = _width(bucket, timeline) <= DAY and (day + 1) * DAY < now
        return (1, day, 0) if whole else (2, *bucket.bucket)

    for _, group in groupby(sorted(buckets, key=lambda bucket: (window(bucket), bucket.bucket.number)), key=window):
        ordered = sorted(group, key=lambda bucket: timeline.covered(bucket.epoch, *bucket.bucket))
        yield from _batched(ordered)


def _batched(buckets: list[OpenBucket]) -> Iterator[list[OpenBucket]]:
    part: list[OpenBucket] = []
    size = 0
    for bucket in buckets:
        if part and size + bucket.sealed_bytes > MOST_BYTES:
            yield part
            part, size = [], 0
        part.append(bucket)
        size += bucket.sealed_bytes
    yield part


def _overlap(bucket: OpenBucket, run: Run, timeline: Timeline) -> bool:
    """Whether a record could lie in both, by its start and its duration."""
    starts, level = timeline.covered(bucket.epoch, *bucket.bucket), bucket.bucket.level
    durations = Interval(int(timeline.widths[level - 1]) + 1 if level else 0, _width(bucket, timeline))
    in_time = starts.start <= run.last and run.first <= starts.end
    return in_time and durations.start <= run.longest and run.shortest <= durations.end


def _merged(runs: Sequence[Run], narrower: int) -> list[Job]:
    """All in one if that is no larger than a run should be; else neighbours, and long records apart."""
    if sum(run.size for run in runs) <= TARGET_BYTES:
        groups = [list(runs)]
    else:
        short = [run for run in runs if run.longest <= narrower]
        long = [run for run in runs if run.longest > narrower]
        groups = [*_neighbours(short), *_neighbours(long)]
    return [Job([], group, narrower) for group in groups if len(group) > 1]


def _neighbours(runs: Sequence[Run]) -> Iterator[list[Run]]:
    group: list[Run] = []
    for run in sorted(runs, key=lambda run: (run.first, run.number)):
        if group and sum(other.size for other in group) + run.size > TARGET_BYTES:
            yield group
            group = []
        group.append(run)
    if group:
        yield group


def _is_over(epoch: int, timeline: Timeline, now: int) -> bool:
    return (epoch % GENERATION + 1) * timeline.epoch < now


def _width(bucket: OpenBucket, timeline: Timeline) -> int:
    return int(timeline.widths[bucket.bucket.level])
