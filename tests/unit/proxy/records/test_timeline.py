"""Time: a record lies at one level in one bucket, and every overlapping record is looked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.records.timeline import EARLIEST, LATEST, Interval, Timeline

HOUR, DAY = 3_600_000, 86_400_000
TIMELINE = Timeline(base=HOUR, epoch=30 * DAY)

instants = st.integers(EARLIEST, LATEST) | st.integers(0, 400 * DAY) | st.integers(0, 400).map(lambda day: day * DAY)


@pytest.mark.parametrize("timeline", [TIMELINE, Timeline(1_000, DAY), Timeline(999_999 * DAY, 3_660 * DAY)])
def test_no_record_is_too_long(timeline: Timeline) -> None:
    assert timeline.widths[-1] >= LATEST - EARLIEST
    assert len(timeline.widths) <= 256  # a level is one byte of a tag's block
    assert np.all(timeline.widths[1:] == timeline.widths[:-1] * 8)


@pytest.mark.parametrize(
    ("duration", "level"), [(0, 0), (HOUR, 0), (HOUR + 1, 1), (8 * HOUR, 1), (8 * HOUR + 1, 2), (LATEST, 9)]
)
def test_a_record_lies_at_the_lowest_level_that_is_as_wide(duration: int, level: int) -> None:
    assert TIMELINE.levels(np.array([duration])).tolist() == [level]


def test_buckets_and_epochs_are_half_open() -> None:
    starts = np.array([0, HOUR - 1, HOUR, 30 * DAY - 1, 30 * DAY])
    assert TIMELINE.buckets(starts, np.zeros(5, np.int64)).tolist() == [0, 0, 1, 719, 720]
    assert TIMELINE.epochs(starts).tolist() == [0, 0, 0, 0, 1]


@given(instants, instants, instants, instants)
def test_every_overlapping_record_is_looked_for(start: int, end: int, a: int, b: int) -> None:
    start, end, interval = min(start, end), max(start, end), Interval(min(a, b), max(a, b))
    level = TIMELINE.levels(np.array([end - start]))
    bucket = int(TIMELINE.buckets(np.array([start]), level)[0])
    epoch = int(TIMELINE.epochs(np.array([start]))[0])
    assert is_looked_for(interval, epoch, int(level[0]), bucket) or not (
        start <= interval.end and end >= interval.start
    )


@given(st.integers(0, 5), st.integers(1, 10_000), st.sampled_from([-1, 0]), st.sampled_from([0, 1]))
def test_a_record_as_wide_as_its_bucket_is_looked_for_at_both_ends(
    level: int, edge: int, before: int, short: int
) -> None:
    width = int(TIMELINE.widths[level])
    start, end = edge * width + before, (edge + 1) * width + before - short
    epoch, bucket = start // TIMELINE.epoch, start // width
    for instant in (start, end):
        assert is_looked_for(Interval(instant, instant), epoch, level, bucket)


def test_a_bucket_covers_its_part_of_the_epoch() -> None:
    assert TIMELINE.covered(0, 0, 5) == (5 * HOUR, 6 * HOUR - 1)
    assert TIMELINE.covered(0, 2, 11) == (11 * 64 * HOUR, 30 * DAY - 1)
    assert TIMELINE.covered(1, 2, 11) == (30 * DAY, 12 * 64 * HOUR - 1)
    first, last = TIMELINE.covered(1, 0, 5)
    assert first > last


def is_looked_for(interval: Interval, epoch: int, level: int, bucket: int) -> bool:
    held, wanted = TIMELINE.covered(epoch, level, bucket), TIMELINE.starting(interval, level)
    return held.start <= wanted.end and wanted.start <= held.end
