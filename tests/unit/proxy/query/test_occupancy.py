"""Counting compared with the simplest way to count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.query.occupancy import count, count_by_place, series
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.timeline import Interval, Steps
from tests.services.segments import hit_of

WIFI = dataset.load()["wifi"]

Session = tuple[int, str, int, int]  # who, where, from, for how long

# Small numbers: many sessions begin and end at the edges of steps.
sessions = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c"]), st.integers(0, 60), st.just(0) | st.integers(0, 70)),
    max_size=25,
)
intervals = st.tuples(st.integers(0, 60), st.just(0) | st.integers(0, 60)).map(lambda ab: Interval(ab[0], sum(ab)))


def hits(found: list[Session], size: int) -> list[Hit]:
    names = [WIFI.subject, WIFI.place, WIFI.start, WIFI.duration]
    schema = pa.schema([WIFI.schema.field(name) for name in names])
    parts = [found[at : at + size] for at in range(0, len(found), size)]
    columns = [list(zip(*part, strict=True)) for part in parts]
    tables = [
        pa.table([pa.array(c, f.type) for c, f in zip(column, schema, strict=True)], schema=schema)
        for column in columns
    ]
    return [hit_of(table, WIFI) for table in tables]


def overlapping(found: list[Session], interval: Interval) -> list[Session]:
    return [s for s in found if s[2] <= interval.end and s[2] + s[3] >= interval.start]


@given(sessions, intervals, st.integers(1, 70), st.integers(1, 10))
def test_a_series_counts_each_step_as_a_filter_does(
    found: list[Session], interval: Interval, width: int, page: int
) -> None:
    steps = Steps(interval, width)
    edges = [interval.start + number * width for number in range(steps.number)]
    within = overlapping(found, interval)
    closed_ends = [*(edge + width - 1 for edge in edges[:-1]), interval.end]  # half-open, except the last
    expected = [
        len({s[0] for s in overlapping(within, Interval(*ends))}) for ends in zip(edges, closed_ends, strict=True)
    ]
    assert series(hits(within, page), steps).tolist() == expected


@given(sessions, st.integers(1, 10))
def test_a_count_is_of_distinct_subjects(found: list[Session], page: int) -> None:
    assert count(hits(found, page)) == len({session[0] for session in found})


@given(sessions, st.integers(1, 10))
def test_places_are_ordered_by_count_then_by_name(found: list[Session], page: int) -> None:
    there = {place: {s[0] for s in found if s[1] == place} for place in "abc"}
    expected = sorted(((place, len(who)) for place, who in there.items() if who), key=lambda item: (-item[1], item[0]))
    assert list(zip(*count_by_place(hits(found, page)), strict=True)) == expected


def test_the_last_step_holds_the_intervals_last_instant() -> None:
    found = hits([(1, "a", 10, 0)], 1)
    assert series(found, Steps(Interval(0, 10), 5)).tolist() == [0, 1]
    assert series(found, Steps(Interval(0, 11), 5)).tolist() == [0, 0, 1]


def test_an_instant_is_one_step() -> None:
    assert Steps(Interval(5, 5), 1_000).number == 1
    assert series(hits([(1, "a", 0, 5)], 1), Steps(Interval(5, 5), 1_000)).tolist() == [1]


def test_nothing_found_counts_as_zero() -> None:
    assert count([]) == 0
    assert count_by_place([]) == ([], [])
    assert np.array_equal(series([], Steps(Interval(0, 9), 5)), [0, 0])
