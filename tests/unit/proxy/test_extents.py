"""Extents only ever grow, and are durable."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from privacyplease.proxy.extents import Extents
from privacyplease.proxy.timeline import Extent


def test_an_extent_is_widened_to_both_sides_and_never_narrowed(store: Engine) -> None:
    extents = Extents(store)
    for first, last in ((10, 12), (5, 11), (11, 20), (15, 16)):
        extents.widen("wifi", [Extent(666, 0, first, last)])
    assert Extents(store).extents("wifi") == [Extent(666, 0, 5, 20)]


def test_extents_come_ascending_and_of_one_data_set(store: Engine) -> None:
    extents = Extents(store)
    given_ = [Extent(667, 0, 1, 1), Extent(666, 2, 0, 0), Extent(666, 0, 3, 4)]
    extents.widen("wifi", given_)
    extents.widen("badges", [Extent(1, 1, 1, 1)])
    assert extents.extents("wifi") == sorted(given_)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20), st.integers())
def test_of_proxies_that_widen_at_once_none_is_lost(store: Engine, found: list[tuple[int, int]], name: int) -> None:
    dataset = f"d{name}"
    both = [Extents(store), Extents(store)]

    def widen(numbered: tuple[int, tuple[int, int]]) -> None:
        number, ends = numbered
        both[number % 2].widen(dataset, [Extent(1, 1, min(ends), max(ends))])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(widen, enumerate(found)))
    (extent,) = both[0].extents(dataset)
    assert extent.first <= min(min(ends) for ends in found)
    assert extent.last >= max(max(ends) for ends in found)
