"""Filters: no subject of a segment is missed, and few others are false positives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.segments import filters

HASHES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=200, unique=True)


@given(HASHES)
def test_a_filter_never_misses_a_subject_of_its_segment(hashes: list[int]) -> None:
    made = filters.make(np.array(hashes, np.uint64))
    assert all(filters.may_hold(made, hashed) for hashed in hashes)


@pytest.mark.parametrize("subjects", [10, 1_000, 20_000])
def test_about_one_in_a_hundred_others_is_a_false_positive(subjects: int) -> None:
    drawn = np.random.default_rng(subjects).integers(0, 2**64, subjects + 10_000, np.uint64)
    made = filters.make(drawn[:subjects])
    wrong = sum(filters.may_hold(made, hashed) for hashed in drawn[subjects:].tolist())
    assert wrong < 200


def test_a_filter_of_too_many_subjects_is_empty_and_rules_nobody_out() -> None:
    made = filters.make(np.arange(filters.MOST_BYTES, dtype=np.uint64))
    assert made == b""
    assert filters.may_hold(made, 42)


def test_a_segment_without_records_has_no_filter() -> None:
    assert filters.make(np.zeros(0, np.uint64)) == b""
