"""Cutting: parts of equal size, consecutive in time; long records separately."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.compaction.cut import MOST_FULL, cut
from privacyplease.proxy.records.timeline import DAY

FULL = 100


def parts(starts: list[int], durations: list[int] | None = None) -> list[list[int]]:
    lengths = np.array(durations or [0] * len(starts), np.int64)
    return [rows.tolist() for rows in cut(np.array(starts, np.int64), lengths, FULL)]


@pytest.mark.parametrize(
    ("records", "sizes"), [(0, []), (1, [1]), (125, [125]), (126, [63, 63]), (200, [100, 100]), (201, [67, 67, 67])]
)
def test_a_quarter_more_is_one_segment_and_what_is_more_becomes_equal_parts(records: int, sizes: list[int]) -> None:
    assert [len(rows) for rows in parts(list(range(records)))] == sizes


def test_records_longer_than_a_day_are_cut_separately() -> None:
    assert parts([0, 1, 2, 3], [0, DAY, DAY + 1, 2 * DAY]) == [[0, 1], [2, 3]]


def test_records_of_one_instant_stay_together() -> None:
    assert [len(rows) for rows in parts([0] * 150 + [1] * 90)] == [150, 90]
    assert [len(rows) for rows in parts([0] * 90 + [1] * 150)] == [90, 150]


def test_no_small_segment_is_left_next_to_a_crowded_instant() -> None:
    assert [len(rows) for rows in parts([0] * 10 + [1] * 200 + [2] * 10)] == [220]


def test_an_instant_with_more_records_than_a_segment_may_have_is_cut() -> None:
    assert [len(rows) for rows in parts([7] * (MOST_FULL * FULL + 1))] == [200, 201]


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([0, DAY, DAY + 1])), max_size=1_500))
def test_each_record_is_in_one_part_and_no_part_is_small_or_too_large(records: list[tuple[int, int]]) -> None:
    starts, durations = np.array(sorted(records), np.int64).reshape(-1, 2).T
    segments = cut(starts, durations, FULL)
    assert sorted(np.concatenate([*segments, []]).tolist()) == list(range(len(records)))
    for long in (False, True):
        lane = [rows for rows in segments if bool(durations[rows[0]] > DAY) is long]
        assert all(((durations[rows] > DAY) == long).all() for rows in lane)
        assert all(2 * len(rows) >= FULL for rows in lane) or len(lane) == 1
        assert all(len(rows) <= MOST_FULL * FULL for rows in lane)
        assert all(starts[one[-1]] <= starts[other[0]] for one, other in pairwise(lane))
