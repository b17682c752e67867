"""Roll-ups against the plainest way to count."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy import occupancy
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.layouts import ROLLUP
from privacyplease.proxy.records import dataset
from privacyplease.proxy.rollups import DEVIATIONS, Rollups, rolled_up
from privacyplease.proxy.runs import Stretch

WIFI = dataset.load()["wifi"]
KEY = Key(bytes(32))

Seen = list[tuple[int, str]]

seen = st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["a", "b", "café"])), max_size=20)


def table(found: Seen) -> pa.Table:
    who, where = zip(*found, strict=True) if found else ((), ())
    return pa.table({WIFI.subject: pa.array(who, pa.int64()), WIFI.place: pa.array(where, pa.string())})


def filled(runs: list[Seen]) -> Rollups:
    rollups = Rollups()
    rollups.fill([of for run in runs for of in rolled_up(Stretch([table(run)]), WIFI, KEY).bins], KEY, 0)
    return rollups


@given(st.lists(seen, min_size=1, max_size=5), seen)
def test_roll_ups_and_records_together_count_as_the_records_alone(runs: list[Seen], rest: Seen) -> None:
    """Groups among them: two places are one floor."""
    pages = [table(found) for found in (*runs, rest)]
    others = table(rest)
    people = filled(runs).people(others[WIFI.subject], WIFI)
    assert not people.is_estimation_mode()
    assert people.get_estimate() == occupancy.count(pages, WIFI)
    for groups in (None, {"a": "floor", "b": "floor"}):
        pairs = occupancy.subjects_by_place([others], WIFI, groups)
        assert filled(runs).people_by_place(pairs, WIFI, groups) == occupancy.count_by_place(pages, WIFI, groups)


def test_more_than_a_sketch_holds_is_an_estimate_that_says_so() -> None:
    runs = [[(number, "a") for number in range(begin, begin + 60_000)] for begin in (0, 40_000)]
    rollups = filled(runs)
    people = rollups.people(None, WIFI)
    assert people.is_estimation_mode()
    assert people.get_lower_bound(DEVIATIONS) <= 100_000 <= people.get_upper_bound(DEVIATIONS)
    assert people.get_upper_bound(DEVIATIONS) - people.get_lower_bound(DEVIATIONS) < 2_000
    assert rollups.people_by_place(None, WIFI) is None


def test_nothing_of_a_subject_is_in_a_roll_up_but_a_keyed_hash() -> None:
    found = table([(0xE6F1D228B933, "a")])
    one, other = (rolled_up(Stretch([found]), WIFI, key).bins[0] for key in (KEY, Key(bytes(31) + b"\x01")))
    assert one.schema == ROLLUP.schema
    assert one["place"] == other["place"]
    assert one["sketch"] != other["sketch"]
