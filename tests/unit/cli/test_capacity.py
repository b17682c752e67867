"""Capacity planning, and its constants against those of the proxy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privacyplease.cli import capacity
from privacyplease.cli.capacity import Deployment, cell_bytes, plan_capacity
from privacyplease.proxy.compaction import plan as compaction
from privacyplease.proxy.query import search
from privacyplease.proxy.records import budget, dataset
from privacyplease.proxy.segments import rollups

CAMPUS = Deployment(records_per_day=24_500)


def test_more_records_per_day_mean_shorter_segments_and_more_of_them_per_question() -> None:
    quiet, busy = plan_capacity(CAMPUS), plan_capacity(Deployment(records_per_day=600_000))
    assert quiet.segment.records == busy.segment.records == capacity.SETTLED_RECORDS
    assert busy.segment.days < quiet.segment.days
    for span in capacity.SPANS_DAYS:
        assert busy.fetched[span].segments > quiet.fetched[span].segments


def test_longer_intervals_and_more_columns_fetch_more() -> None:
    fetched = list(plan_capacity(CAMPUS).fetched.values())
    assert [cost.bytes for cost in fetched] == sorted(cost.bytes for cost in fetched)
    assert all(cost.bytes < cost.columns_bytes for cost in fetched)
    assert all(cost.bytes < cost.whole_days_bytes for cost in fetched)


def test_a_count_uses_roll_ups_if_many_segments_are_in_its_interval() -> None:
    busy = plan_capacity(Deployment(records_per_day=600_000)).fetched
    assert busy["1 h"].counted_bytes == busy["1 h"].bytes
    assert busy["30 d"].counted_bytes < busy["30 d"].bytes / 5


def test_an_epoch_of_few_records_is_one_segment_without_a_roll_up() -> None:
    planned = plan_capacity(Deployment(records_per_day=100, epoch_days=30))
    assert (planned.segment.records, planned.segment.days, planned.segment.rollup_bytes) == (3_000, 30, 0)
    assert planned.fetched["30 d"].counted_bytes == planned.fetched["30 d"].bytes


def test_the_smallest_deployment_has_a_plan() -> None:
    planned = plan_capacity(Deployment(records_per_day=1, epoch_days=1, columns=0))
    assert planned.segment.records == 1
    assert planned.cache_mib == 1


def test_cover_has_room_for_twice_the_busiest_hour() -> None:
    rush = plan_capacity(Deployment(records_per_day=24_500, busiest_hour=36_000)).cover
    assert rush["1s"].records >= 20
    assert rush["10s"].records >= 200
    assert rush["10s"].sent_bytes < rush["1s"].sent_bytes


def test_memory_for_30_days_holds_what_a_question_about_30_days_fetches() -> None:
    planned = plan_capacity(Deployment(records_per_day=600_000))
    assert planned.cache_mib << 20 >= planned.fetched["30 d"].whole_days_bytes
    assert planned.opened_bytes > 30 * 600_000


@pytest.mark.parametrize("group", ["core", "rest", "rollup"])
@pytest.mark.parametrize("records", [0, 1, 16, 1_024, 1_025, 3_000, 32_768, 65_536])
def test_a_cell_has_the_size_that_the_proxy_gives_it(group: str, records: int) -> None:
    wifi = dataset.load()["wifi"]
    room = capacity.ROOM_PER_COLUMN * len(wifi.others) if group == "rest" else 0
    size = cell_bytes(records, capacity.LEAST_CELL_BYTES + room, getattr(CAMPUS, group))
    assert size == wifi.budgets[group].size(records)


def test_default_record_sizes_are_those_of_wifi_sessions() -> None:
    wifi = dataset.load()["wifi"]
    assert {name: getattr(CAMPUS, name) for name in wifi.budgets} == {
        name: budget.each for name, budget in wifi.budgets.items()
    }
    assert len(wifi.others) == CAMPUS.columns
    assert wifi.epoch == CAMPUS.epoch_days * 86_400_000


@pytest.mark.parametrize("rest", [3.0, 40.0, 5_000.0])
def test_a_full_segment_has_as_many_records_as_compaction_gives_it(rest: float) -> None:
    wifi = dataset.load()["wifi"]
    wide = replace(wifi, budgets=wifi.budgets | {"rest": wifi.budgets["rest"]._replace(each=rest)})
    assert plan_capacity(Deployment(10_000_000, rest=rest)).segment.records == compaction.full_records(wide)


def test_segments_have_fewer_records_if_records_are_large() -> None:
    assert plan_capacity(Deployment(10_000_000, rest=40.0)).segment.records == 32_768


def test_constants_are_those_of_the_proxy() -> None:
    assert (capacity.FIRST_RECORDS, capacity.FIRST_FACTOR) == (budget.FIRST_RECORDS, budget.FIRST_FACTOR)
    assert (capacity.LEAST_CELL_BYTES, capacity.ROOM_PER_COLUMN) == (dataset.LEAST_CELL_BYTES, dataset.ROOM_PER_COLUMN)
    assert capacity.MOST_COVER_RECORDS == dataset.MOST_COVER_RECORDS
    assert (capacity.LEAST_ROLLED_UP_RECORDS, capacity.LEAST_ROLLUPS) == (rollups.LEAST_RECORDS, search.LEAST_ROLLED_UP)
