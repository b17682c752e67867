"""Time: a record lies at one level in one bucket, and every overlapping record is looked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.timeline import EARLIEST, LATEST, Extent, Interval, Timeline

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
    extent = Extent(int(TIMELINE.epochs(np.array([start]))[0]), int(level[0]), bucket, bucket)
    looked_for = bucket in TIMELINE.overlapping(interval, extent)
    assert looked_for or not (start <= interval.end and end >= interval.start)


@given(st.integers(0, 5), st.integers(1, 10_000), st.sampled_from([-1, 0]), st.sampled_from([0, 1]))
def test_a_record_as_wide_as_its_bucket_is_looked_for_at_both_ends(
    level: int, edge: int, before: int, short: int
) -> None:
    width = int(TIMELINE.widths[level])
    start, end = edge * width + before, (edge + 1) * width + before - short
    epoch, bucket = start // TIMELINE.epoch, start // width
    for instant in (start, end):
        assert bucket in TIMELINE.overlapping(Interval(instant, instant), Extent(epoch, level, 0, LATEST))


@given(st.integers(0, 200), instants, instants, st.integers(0, 9))
def test_nothing_is_looked_for_outside_the_extent(first: int, a: int, b: int, level: int) -> None:
    extent = Extent(epoch=2, level=level, first=first, last=first + 50)
    looked_for = TIMELINE.overlapping(Interval(min(a, b), max(a, b)), extent)
    assert set(looked_for) <= set(range(first, first + 51))


def test_a_short_question_costs_a_few_buckets_a_level() -> None:
    wide = [Extent(658, level, 0, LATEST) for level in range(10)]
    instant = Interval(658 * 30 * DAY + 15 * DAY, 658 * 30 * DAY + 15 * DAY)
    assert max(len(TIMELINE.overlapping(instant, extent)) for extent in wide) <= 2
