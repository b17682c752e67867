"""The planner's arithmetic, and its numbers against the proxy's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from privacyplease.cli import planning
from privacyplease.cli.planning import Deployment, cell_bytes, plan
from privacyplease.proxy.compaction import plan as compaction
from privacyplease.proxy.query import search
from privacyplease.proxy.records import budget, dataset
from privacyplease.proxy.segments import rollups

CAMPUS = Deployment(records_per_day=24_500)


def test_the_busier_it_is_the_shorter_are_segments_and_the_more_of_them_a_question_touches() -> None:
    quiet, busy = plan(CAMPUS), plan(Deployment(records_per_day=600_000))
    assert quiet.segment.records == busy.segment.records == planning.SETTLED_RECORDS
    assert busy.segment.days < quiet.segment.days
    for span in planning.SPANS_DAYS:
        assert busy.fetched[span].segments > quiet.fetched[span].segments


def test_a_longer_question_fetches_more_and_one_with_more_columns_too() -> None:
    fetched = list(plan(CAMPUS).fetched.values())
    assert [each.bytes for each in fetched] == sorted(each.bytes for each in fetched)
    assert all(each.bytes < each.columns_bytes for each in fetched)
    assert all(each.bytes < each.whole_days_bytes for each in fetched)


def test_a_count_takes_roll_ups_where_many_segments_lie_inside() -> None:
    busy = plan(Deployment(records_per_day=600_000)).fetched
    assert busy["1 h"].counted_bytes == busy["1 h"].bytes
    assert busy["30 d"].counted_bytes < busy["30 d"].bytes / 5


def test_an_epoch_of_few_records_is_one_segment_without_a_roll_up() -> None:
    found = plan(Deployment(records_per_day=100, epoch_days=30))
    assert (found.segment.records, found.segment.days, found.segment.rollup_bytes) == (3_000, 30, 0)
    assert found.fetched["30 d"].counted_bytes == found.fetched["30 d"].bytes


def test_the_smallest_deployment_has_a_plan() -> None:
    found = plan(Deployment(records_per_day=1, epoch_days=1, columns=0))
    assert found.segment.records == 1
    assert found.cache_mib == 1


def test_cover_lets_the_busiest_hour_through_twice() -> None:
    rush = plan(Deployment(records_per_day=24_500, busiest_hour=36_000)).cover
    assert rush["1s"].records >= 20
    assert rush["10s"].records >= 200
    assert rush["10s"].sent_bytes < rush["1s"].sent_bytes


def test_memory_for_30_days_holds_what_a_question_about_them_fetches() -> None:
    found = plan(Deployment(records_per_day=600_000))
    assert found.cache_mib << 20 >= found.fetched["30 d"].whole_days_bytes
    assert found.opened_bytes > 30 * 600_000


@pytest.mark.parametrize("group", ["core", "rest", "rollup"])
@pytest.mark.parametrize("records", [0, 1, 16, 1_024, 1_025, 3_000, 32_768, 65_536])
def test_a_cell_has_the_size_that_the_proxy_gives_it(group: str, records: int) -> None:
    wifi = dataset.load()["wifi"]
    room = planning.ROOM_PER_COLUMN * len(wifi.others) if group == "rest" else 0
    planned = cell_bytes(records, planning.LEAST_CELL_BYTES + room, getattr(CAMPUS, group))
    assert planned == wifi.budgets[group].size(records)


def test_records_are_as_large_as_wifi_sessions() -> None:
    wifi = dataset.load()["wifi"]
    assert {name: getattr(CAMPUS, name) for name in wifi.budgets} == {
        name: each.each for name, each in wifi.budgets.items()
    }
    assert len(wifi.others) == CAMPUS.columns
    assert wifi.epoch == CAMPUS.epoch_days * 86_400_000


@pytest.mark.parametrize("rest", [3.0, 40.0, 5_000.0])
def test_a_full_segment_has_as_many_records_as_compaction_gives_it(rest: float) -> None:
    wifi = dataset.load()["wifi"]
    wide = replace(wifi, budgets=wifi.budgets | {"rest": wifi.budgets["rest"]._replace(each=rest)})
    assert plan(Deployment(10_000_000, rest=rest)).segment.records == compaction.full_records(wide)


def test_records_that_are_large_make_segments_of_fewer() -> None:
    assert plan(Deployment(10_000_000, rest=40.0)).segment.records == 32_768


def test_what_the_proxy_decides_is_the_proxys() -> None:
    assert (planning.FIRST_RECORDS, planning.FIRST_FACTOR) == (budget.FIRST_RECORDS, budget.FIRST_FACTOR)
    assert (planning.LEAST_CELL_BYTES, planning.ROOM_PER_COLUMN) == (dataset.LEAST_CELL_BYTES, dataset.ROOM_PER_COLUMN)
    assert planning.MOST_COVER_RECORDS == dataset.MOST_COVER_RECORDS
    assert (planning.LEAST_ROLLED_UP_RECORDS, planning.LEAST_ROLLUPS) == (rollups.LEAST_RECORDS, search.LEAST_ROLLED_UP)
