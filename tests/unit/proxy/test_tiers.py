"""Tiers: what is merged with what, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy import tiers
from privacyplease.proxy.holdings import OpenBucket, Run
from privacyplease.proxy.records.timeline import Timeline
from privacyplease.proxy.sealing import Bucket
from privacyplease.proxy.tiers import DAY, MOST_BYTES, OVERDUE, QUIET, TARGET_BYTES

HOUR = 3_600_000
TIMELINE = Timeline(HOUR, 30 * DAY)
LATER = 400 * DAY


def bucket(number: int, *, level: int = 0, size: int = 1_000, opened: int = 0, written: int = 0) -> OpenBucket:
    width = int(TIMELINE.widths[level])
    return OpenBucket(number * width // TIMELINE.epoch, Bucket(level, number), 1, 1, size, opened, written)


def run(first: int, last: int, *, size: int = 1_000, longest: int = HOUR, number: int = 0) -> Run:
    return Run(number or first + 1, first // TIMELINE.epoch, first, last, last + longest, 0, longest, 10, size)


@pytest.mark.parametrize(
    ("level", "closes"), [(0, HOUR + HOUR), (1, 8 * HOUR + 8 * HOUR), (2, 64 * HOUR + DAY), (3, 512 * HOUR + DAY)]
)
def test_a_bucket_closes_when_its_last_record_can_have_ended(level: int, closes: int) -> None:
    assert not tiers.closed(bucket(0, level=level), TIMELINE, closes - 1)
    assert tiers.closed(bucket(0, level=level), TIMELINE, closes)


def test_a_bucket_that_is_wider_than_its_epoch_closes_with_it() -> None:
    assert tiers.closed(bucket(0, level=5), TIMELINE, 31 * DAY)


def test_a_closed_bucket_is_due_when_it_has_been_quiet() -> None:
    written = 2 * HOUR
    assert not tiers.due(bucket(0, written=written, opened=written), TIMELINE, written + QUIET)
    assert tiers.due(bucket(0, written=written, opened=written), TIMELINE, written + QUIET + 1)


def test_a_bucket_that_never_closes_or_is_never_quiet_is_due_after_a_day() -> None:
    wide = bucket(0, level=3, opened=HOUR, written=HOUR + OVERDUE)
    assert not tiers.due(wide, TIMELINE, HOUR + OVERDUE)
    assert tiers.due(wide, TIMELINE, HOUR + OVERDUE + 1)


def test_buckets_are_merged_together_once_their_day_or_epoch_is_over() -> None:
    day = [bucket(hour) for hour in range(24)] + [bucket(part, level=1) for part in range(3)]
    now = 25 * HOUR
    (job,) = tiers.fills(day, [], TIMELINE, now)
    assert sorted(job.buckets) == sorted(day)
    assert len(tiers.fills(day, [], TIMELINE, 23 * HOUR)) == len(day)
    assert len(tiers.fills([*day, bucket(0, level=2)], [], TIMELINE, now)) == 2
    (job,) = tiers.fills([*day, bucket(30), bucket(0, level=3)], [], TIMELINE, LATER)
    assert len(job.buckets) == len(day) + 2


def test_no_more_is_merged_at_once_than_fits_into_memory() -> None:
    jobs = tiers.fills([bucket(hour, size=MOST_BYTES // 3) for hour in range(7)], [], TIMELINE, LATER)
    assert [len(job.buckets) for job in jobs] == [3, 3, 1]


def test_late_records_take_the_runs_in_that_they_overlap_and_no_others() -> None:
    same_hour = run(0, HOUR - 1, number=1)
    next_hour = run(HOUR, 2 * HOUR, number=2)
    longer_ones = run(0, HOUR, longest=8 * HOUR, number=3)._replace(shortest=HOUR + 1)
    (job,) = tiers.fills([bucket(0)], [same_hour, next_hour, longer_ones], TIMELINE, LATER)
    assert job.runs == [same_hour]
    (job,) = tiers.fills([bucket(0, level=1)], [same_hour, longer_ones], TIMELINE, LATER)
    assert job.runs == [longer_ones]


def test_buckets_that_overlap_one_run_are_merged_together() -> None:
    both = run(0, 2 * HOUR)
    jobs = tiers.fills([bucket(0), bucket(1), bucket(5)], [both], TIMELINE, 6 * HOUR)
    assert sorted((len(job.buckets), len(job.runs)) for job in jobs) == [(1, 0), (2, 1)]


def test_neighbours_are_merged_by_the_day_and_then_by_the_epoch() -> None:
    hours = [run(hour * HOUR, (hour + 1) * HOUR - 1) for hour in range(48)]
    assert tiers.merges(hours, TIMELINE, DAY) == []
    (job,) = tiers.merges(hours, TIMELINE, DAY + 1)
    assert job.runs == hours[:24]
    assert len(tiers.merges(hours, TIMELINE, 3 * DAY)) == 2
    (job,) = tiers.merges(hours, TIMELINE, LATER)
    assert job.runs == hours


def test_runs_that_are_large_enough_stay_as_they_are() -> None:
    full = [run(hour * HOUR, (hour + 1) * HOUR - 1, size=TARGET_BYTES * 2 // 3) for hour in range(48)]
    assert tiers.merges(full, TIMELINE, LATER) == []


def test_long_records_are_merged_apart_where_not_all_fits_into_one_run() -> None:
    short = [run(hour * HOUR, hour * HOUR + 1, size=TARGET_BYTES // 8) for hour in range(16)]
    long = [run(hour * HOUR, hour * HOUR + 1, longest=8 * HOUR, number=1_000 + hour) for hour in range(16)]
    jobs = tiers.merges(short + long, TIMELINE, DAY + 1)
    assert [{record.longest for record in job.runs} for job in jobs] == [{HOUR}, {HOUR}, {8 * HOUR}]


@given(st.lists(st.integers(300, 2 * TARGET_BYTES), max_size=200))
def test_merging_ends_with_few_runs(sizes: list[int]) -> None:
    """As if every merged run were as large as its parts together: look-ups grow with the data, not with time."""
    runs = [run(number * HOUR, number * HOUR + 1, size=size) for number, size in enumerate(sizes)]
    while jobs := tiers.merges(runs, Timeline(HOUR, 3_000 * DAY), 4_000 * DAY):
        gone = [run for job in jobs for run in job.runs]
        merged = [run(j.runs[0].first, j.runs[-1].last, size=sum(r.size for r in j.runs)) for j in jobs]
        assert len(gone) > len(merged)
        runs = [one for one in runs if one not in gone] + merged
    assert len(runs) <= 2 * sum(sizes) / TARGET_BYTES + 1
