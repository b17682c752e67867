"""What is merged with what: few full segments in the end, few rewrites, and termination."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.compaction.plan import (
    JOB_FULL,
    JOB_SEGMENTS,
    MOST_CELL_BYTES,
    MOST_FRESH,
    OVERDUE,
    RECENT,
    Job,
    PlanInputs,
    full_records,
    plan,
)
from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.records.budget import Budget
from privacyplease.proxy.records.dataset import Dataset
from tests.unit.proxy.compaction.simulation import (
    DAY,
    FULL,
    HOUR,
    MINUTE,
    SimulatedRecords,
    Simulation,
    late,
    longest,
    row,
    stream,
    three_times,
    unsorted_load,
)

pytestmark = pytest.mark.slow

SMALL = 1_024  # records of a full segment, where scale does not matter
NOW = 10 * DAY


def inputs(*, now: int = NOW, over: bool = False, by_command: bool = False, recent: bool = True) -> PlanInputs:
    return PlanInputs(SMALL, 1 << 40, now - 2 * DAY if over else now + DAY, now, by_command, recent)


def segment(
    first: int, last: int, records: int, *, number: int, settled: bool = True, changed_at: int = NOW
) -> ManifestRow:
    made = row(SimulatedRecords.at(np.linspace(first, last, records).astype(np.int64)), number, settled=settled)
    return made._replace(changed_at=changed_at)


def layer(
    number: int, *, records: int = SMALL, first: int = 0, width: int = HOUR, start: int = NOW
) -> list[ManifestRow]:
    """A number of segments, one after the other."""
    return [
        segment(start + at * width, start + (at + 1) * width - 1, records, number=first + at + 1)
        for at in range(number)
    ]


def numbers(jobs: list[Job]) -> list[list[int]]:
    return sorted(sorted(int(of.number) for of in job) for job in jobs)


@pytest.mark.parametrize("number", [0, 1, MOST_FRESH - 1])
def test_a_few_fresh_segments_are_not_merged_yet(number: int) -> None:
    fresh = [segment(NOW, NOW, 1, number=at, settled=False) for at in range(number)]
    assert plan(fresh, inputs()) == []


def test_fresh_segments_are_merged_when_they_are_many() -> None:
    fresh = [segment(NOW, NOW, 1, number=at, settled=False) for at in range(MOST_FRESH)]
    assert numbers(plan(fresh, inputs())) == [list(range(MOST_FRESH))]


def test_fresh_segments_are_merged_when_they_fill_a_segment() -> None:
    fresh = [segment(NOW, NOW, SMALL // 2, number=at, settled=False) for at in range(2)]
    assert numbers(plan(fresh, inputs())) == [[0, 1]]


def test_fresh_segments_are_merged_when_one_is_old() -> None:
    fresh = [segment(NOW, NOW, 1, number=at, settled=False, changed_at=NOW - at * (OVERDUE + 1)) for at in range(2)]
    assert numbers(plan(fresh, inputs())) == [[0, 1]]


def test_a_command_can_exclude_fresh_segments_of_the_last_minutes() -> None:
    fresh = [segment(NOW, NOW, 1, number=at, settled=False, changed_at=NOW - at * (RECENT + 1)) for at in range(2)]
    assert numbers(plan(fresh, inputs(by_command=True))) == [[0, 1]]
    assert numbers(plan(fresh, inputs(by_command=True, recent=False))) == [[1]]


def test_a_job_is_bounded_in_records_bytes_and_segments() -> None:
    large = [segment(NOW, NOW, SMALL, number=at, settled=False) for at in range(2 * JOB_FULL)]
    assert [len(job) for job in plan(large, inputs())] == [JOB_FULL, JOB_FULL]
    tiny = [segment(NOW, NOW, 1, number=at, settled=False) for at in range(JOB_SEGMENTS + 1)]
    assert [len(job) for job in plan(tiny, inputs())] == [JOB_SEGMENTS, 1]


def test_fresh_segments_go_in_order_of_time() -> None:
    rows = [segment(at * HOUR, (at + 1) * HOUR, SMALL, number=at, settled=False) for at in range(2 * JOB_FULL)]
    first, second = plan(random.Random(1).sample(rows, len(rows)), inputs())
    assert max(of.summary.last for of in first) <= min(of.summary.first for of in second)


@pytest.mark.parametrize(
    ("fan_in", "given_now"),
    [
        (8, inputs()),
        (4, inputs(now=NOW + 10 * DAY)),
        (2, inputs(now=NOW + 10 * DAY, over=True)),
        (2, inputs(by_command=True)),
    ],
)
def test_small_neighbours_are_merged_when_they_are_as_many_as_the_fan_in(fan_in: int, given_now: PlanInputs) -> None:
    assert plan(layer(fan_in - 1, records=10), given_now) == []
    assert numbers(plan(layer(fan_in, records=10), given_now)) == [list(range(1, fan_in + 1))]


def test_small_neighbours_are_merged_when_they_fill_a_segment() -> None:
    assert plan(layer(2, records=SMALL // 3), inputs()) == []
    assert numbers(plan(layer(4, records=SMALL // 3), inputs())) == [[1, 2, 3]]


def test_a_large_segment_is_not_merged_with_a_small_one() -> None:
    assert plan([*layer(1, records=SMALL // 3), *layer(7, records=1, first=1, start=NOW + DAY)], inputs()) == []


def test_small_segments_separated_by_a_large_one_are_not_neighbours() -> None:
    rows = [
        *layer(4, records=9),
        *layer(1, first=4, start=NOW + DAY),
        *layer(4, records=9, first=5, start=NOW + 2 * DAY),
    ]
    assert plan(rows, inputs()) == []
    between = segment(NOW, NOW + 3 * DAY, SMALL, number=5)  # it spans them all, and separates none
    assert len(plan([of for of in rows if of.number != 5] + [between], inputs())) == 1


@pytest.mark.parametrize(("layers", "worth"), [(1, False), (4, False), (5, True), (8, True)])
def test_layers_over_the_same_time_are_merged_when_they_become_dense(layers: int, worth: bool) -> None:
    rows = [of for at in range(layers) for of in layer(3, first=3 * at)]
    assert (numbers(plan(rows, inputs())) != []) is worth


def test_two_layers_of_an_epoch_that_is_over_are_merged() -> None:
    rows = [*layer(3), *layer(3, first=3)]
    assert numbers(plan(rows, inputs(now=NOW + 9 * DAY, over=True))) == [[1, 4], [2, 5], [3, 6]]


def test_a_sparse_segment_is_not_merged_with_all_that_it_overlaps() -> None:
    sparse = segment(NOW, NOW + 30 * HOUR, SMALL, number=100)
    over = inputs(now=NOW + 30 * DAY, over=True)
    assert plan([*layer(30), sparse], over) == []
    assert plan([*layer(3), segment(NOW, NOW + 3 * HOUR, SMALL, number=100)], over) != []


def test_segments_that_touch_in_an_instant_do_not_overlap() -> None:
    rows = [segment(NOW + at * HOUR, NOW + (at + 1) * HOUR, SMALL, number=at) for at in range(20)]
    assert plan(rows, inputs(by_command=True)) == []


def test_segments_of_long_records_are_merged_only_with_each_other() -> None:
    starts = NOW + np.arange(10) * HOUR
    long = [row(SimulatedRecords.at(starts, 2 * DAY), number, settled=True) for number in range(8)]
    short = [row(SimulatedRecords.at(starts, HOUR), number, settled=True) for number in range(8, 16)]
    assert numbers(plan(long[:4] + short[:4], inputs())) == []
    assert numbers(plan(long + short, inputs())) == [list(range(8)), list(range(8, 16))]


def test_a_command_merges_small_segments_into_neighbours_with_room() -> None:
    rows = [*layer(1), segment(NOW + HOUR, NOW + HOUR + MINUTE, 10, number=2)]
    assert plan(rows, inputs()) == []
    assert numbers(plan(rows, inputs(by_command=True))) == [[1, 2]]
    wide = [*layer(1), segment(NOW - 20 * HOUR, NOW + 20 * HOUR, 10, number=2)]
    assert plan(wide, inputs(by_command=True)) == []


def test_a_segment_that_was_cut_for_its_size_is_not_merged_again() -> None:
    rows = layer(8, records=2)
    full = rows[0].groups
    given_now = inputs()._replace(full_bytes=next(iter(full.values())).size)
    assert plan(rows, inputs()) != []
    assert plan(rows, given_now) == []


def test_a_full_segment_has_fewer_records_if_they_take_much_room(wifi: Dataset) -> None:
    assert full_records(wifi) == FULL
    wide = replace(wifi, budgets={**wifi.budgets, "rest": Budget(1_024, 100.0)})
    assert 1_000 < full_records(wide) < FULL
    assert all(budget.size(full_records(wide)) <= MOST_CELL_BYTES for budget in wide.budgets.values())


def segments_of_any_kind() -> st.SearchStrategy[list[list[tuple[int, int, int]]]]:
    """Segments of records: who, from which hour, for how long. Many start in the same instant or are reported again."""
    durations = st.sampled_from([MINUTE, HOUR, 2 * DAY])
    record = st.tuples(st.integers(0, 3), st.integers(0, 60).map(lambda hour: hour * HOUR), durations)
    return st.lists(st.lists(record, min_size=1, max_size=30), min_size=1, max_size=40)


def flushed(segments: list[list[tuple[int, int, int]]], full: int = 8) -> Simulation:
    made = Simulation(full=full)
    for records in segments:
        made.flush(longest(SimulatedRecords(*(np.array(column, np.int64) for column in zip(*records, strict=True)))))
    return made


@given(segments_of_any_kind(), st.booleans())
def test_compaction_ends_and_keeps_every_record_in_its_longest_form(
    segments: list[list[tuple[int, int, int]]], by_command: bool
) -> None:
    made = flushed(segments)
    before = made.records
    for now in (0, 2 * DAY, 60 * DAY):
        made.now = now
        made.settle(by_command=by_command)
    after = made.records
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert len(made.settled) == len(made.rows)


@given(segments_of_any_kind(), st.sampled_from([0, 2 * DAY, 60 * DAY]), st.booleans(), st.randoms())
def test_a_plan_depends_only_on_times_and_numbers(
    segments: list[list[tuple[int, int, int]]], now: int, by_command: bool, shuffled: random.Random
) -> None:
    made = flushed(segments)
    made.settle()
    made.now = now
    others = [of._replace(summary=of.summary._replace(subjects=b"somebody else")) for of in made.rows]
    shuffled.shuffle(others)
    jobs = plan(others, made.inputs(by_command=by_command))
    assert numbers(jobs) == numbers(plan(made.rows, made.inputs(by_command=by_command)))


@pytest.mark.parametrize(
    ("scenario", "most"),
    [
        pytest.param(lambda: unsorted_load(SMALL), 160, id="a month in no order"),
        pytest.param(lambda: unsorted_load(SMALL, over=False), 160, id="a month in no order that is not over"),
        pytest.param(lambda: late(SMALL, days=3), 50, id="some come weeks late"),
        pytest.param(lambda: three_times(SMALL), 33, id="a log that is sent three times"),
        pytest.param(lambda: stream(1, 24), 4, id="one a second for a day"),
        pytest.param(lambda: stream(1_000, 1), 63, id="a thousand a second for an hour"),
        pytest.param(lambda: stream(2, 12, SMALL, reported_late=True), 92, id="sessions of hours as they end"),
    ],
)
def test_any_workload_ends_as_few_segments_and_is_rewritten_a_few_times(
    scenario: Callable[[], Simulation], most: int
) -> None:
    made = scenario()
    before = made.records
    assert len(made.rows) - len(made.settled) < MOST_FRESH
    assert made.amplification < 4
    made.wait(DAY + HOUR)
    made.let_end()
    assert len(made.rows) == len(made.settled) <= most
    assert len(made.small) <= 3
    assert made.depth < 4
    assert made.amplification < 4.5
    made.settle(by_command=True)
    assert len(made.small) <= 2
    assert made.depth < 2.5
    assert made.amplification < 5
    assert np.array_equal(made.records.starts, before.starts)
