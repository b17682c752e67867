"""Availability compared with following the step function millisecond by millisecond."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from privacyplease.proxy.query.stations import availability
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import BIKES, STANDS
from privacyplease.proxy.records.tables import latest, longest
from privacyplease.proxy.records.timeline import Interval, Steps

DATASET = dataset.load()["bikes"]
COLUMNS = [*DATASET.required, BIKES, STANDS]


class ReportedState(NamedTuple):
    """What a station reported: which, when, and how many bikes; None where the feed has no number."""

    station: str
    at: int
    bikes: int | None


# Small numbers: many reports fall on the edges of steps and of the interval, and on one another.
states = st.lists(
    st.builds(
        ReportedState, st.sampled_from(["x/1", "x/2", "x/3"]), st.integers(0, 40), st.none() | st.integers(0, 30)
    ),
    max_size=15,
    unique_by=lambda state: state[:2],
)
intervals = st.tuples(st.integers(0, 40), st.just(0) | st.integers(0, 40)).map(lambda ab: Interval(ab[0], sum(ab)))


def table(reported: list[ReportedState]) -> pa.Table:
    rows = [
        {"station": s.station, "contract": "x", "state_from": s.at, "observed_for": 0, BIKES: s.bikes, STANDS: None}
        for s in reported
    ]
    return pa.Table.from_pylist(rows, pa.schema([DATASET.schema.field(name) for name in COLUMNS]))


def needed(reported: list[ReportedState], interval: Interval) -> pa.Table:
    """What the service reads: every station's last state at the start, and what is reported in the interval."""
    before = latest(table([s for s in reported if s.at <= interval.start]), DATASET)
    inside = table([s for s in reported if interval.start <= s.at <= interval.end])
    return longest(pa.concat_tables([before, inside]), DATASET)


def bikes_at(reported: list[ReportedState], instant: int) -> float:
    """The sum over stations of what each reported last; NaN if none has a number."""
    last = {s.station: s.bikes for s in sorted(reported, key=lambda s: s.at) if s.at <= instant}
    known = [bikes for bikes in last.values() if bikes is not None]
    return float(sum(known)) if known else math.nan


def brute(reported: list[ReportedState], start: int, end: int, closed: bool) -> tuple[float, float, float]:
    """Mean over [start, end), and minimum and maximum of a half-open or closed step."""
    during = [value for t in range(start, end) if not math.isnan(value := bikes_at(reported, t))]
    last = [value for value in [bikes_at(reported, end)] if closed and not math.isnan(value)]
    seen = during + last
    if not seen:
        return math.nan, math.nan, math.nan
    return float(np.mean(during or seen)), min(seen), max(seen)


@settings(deadline=None)
@given(states, intervals, st.integers(1, 50))
@example([ReportedState("x/1", 5, 7)], Interval(5, 5), 1)  # an instant
@example([ReportedState("x/1", 9, 7)], Interval(0, 9), 3)  # first known at the last instant
@example([ReportedState("x/1", 1, 7), ReportedState("x/1", 4, None), ReportedState("x/1", 6, 2)], Interval(0, 9), 2)
def test_availability_follows_the_step_function(reported: list[ReportedState], interval: Interval, width: int) -> None:
    steps = Steps(interval, width)
    found = availability(needed(reported, interval), DATASET, BIKES, steps)
    edges = [interval.start + number * width for number in range(steps.number)]
    ends = [*edges[1:], interval.end]
    expected = [brute(reported, start, end, end == interval.end) for start, end in zip(edges, ends, strict=True)]
    for statistic, column in zip(found, zip(*expected, strict=True), strict=True):
        np.testing.assert_allclose(statistic, column, rtol=1e-12)


@settings(deadline=None)
@given(states, intervals)
def test_what_is_known_does_not_depend_on_where_the_question_begins(
    reported: list[ReportedState], interval: Interval
) -> None:
    instant = Interval(interval.end, interval.end)
    alone = availability(needed(reported, instant), DATASET, BIKES, Steps(instant, 1)).means[-1]
    np.testing.assert_equal(alone, bikes_at(reported, interval.end))


def test_before_the_first_report_nothing_is_known() -> None:
    steps = Steps(Interval(0, 30), 10)
    found = availability(table([ReportedState("x/1", 15, 6)]), DATASET, BIKES, steps)
    assert [math.isnan(mean) for mean in found.means] == [True, False, False]
    assert found.means[1] == 6.0


def test_a_station_that_joins_inside_a_step_weighs_by_time() -> None:
    reported = [ReportedState("x/1", 0, 4), ReportedState("x/2", 5, 10)]
    found = availability(table(reported), DATASET, BIKES, Steps(Interval(0, 10), 10))
    assert [column.tolist() for column in found] == [[9.0], [4.0], [14.0]]


@pytest.mark.parametrize("reported", [[], [ReportedState("x/1", 0, 4)]], ids=["no state", "no number"])
def test_a_quantity_that_nobody_reports_is_unknown(reported: list[ReportedState]) -> None:
    found = availability(table(reported), DATASET, STANDS, Steps(Interval(0, 10), 4))
    assert all(np.isnan(column).all() and len(column) == 3 for column in found)


def test_numbers_beyond_floating_point_do_not_stop_the_sum() -> None:
    found = availability(table([ReportedState("x/1", 0, 2**62 + 1)]), DATASET, BIKES, Steps(Interval(0, 1), 1))
    assert found.maxima.tolist() == [2.0**62]
