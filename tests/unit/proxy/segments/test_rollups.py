"""Roll-ups compared with the simplest way to count."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.segments.hashes import subject_hashes
from privacyplease.proxy.segments.rollups import Rollup, count_distinct, rolled_up
from tests.services.segments import core_of

WIFI = dataset.load()["wifi"]
KEY = Key(bytes(32))

Seen = list[tuple[int, str]]

seen = st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["a", "b", "café"])), max_size=20)


def hashes(who: pa.Array, key: Key = KEY) -> np.ndarray:
    return subject_hashes(key, who, ColumnType.MAC)


def rollup(found: Seen, key: Key = KEY) -> pa.RecordBatch:
    schema = pa.schema([WIFI.schema.field(name) for name in WIFI.required])
    columns = [*zip(*((who, where, 0, 0) for who, where in found), strict=True)] or [()] * 4
    records = pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)
    core = core_of(records, WIFI)
    return rolled_up(core, hashes(core.subjects, key))


@given(st.lists(seen, min_size=1, max_size=5), seen, st.none() | st.sets(st.sampled_from(["a", "b", "z"]), min_size=1))
def test_roll_ups_and_further_subjects_count_like_their_records(
    segments: list[Seen], rest: Seen, places: set[str] | None
) -> None:
    others = sorted({who for who, where in rest if places is None or where in places})
    found = count_distinct([Rollup(rollup(one)) for one in segments], places, hashes(pa.array(others, pa.int64())))
    everybody = {who for one in (*segments, rest) for who, where in one if places is None or where in places}
    assert found == (len(everybody), None)


def test_a_count_beyond_a_sketchs_size_is_marked_as_an_estimate() -> None:
    segments = [[(number, "a") for number in range(begin, begin + 60_000)] for begin in (0, 40_000)]
    devices, bounds = count_distinct([Rollup(rollup(one)) for one in segments], None, np.zeros(0, np.uint64))
    assert bounds is not None
    assert bounds[0] <= 100_000 <= bounds[1]
    assert bounds[0] <= devices <= bounds[1] < bounds[0] + 2_000


def test_a_roll_up_has_only_a_keyed_hash_of_each_subject() -> None:
    one, other = (rollup([(0xE6F1D228B933, "a")], key) for key in (KEY, Key(bytes(31) + b"\x01")))
    assert one["place"] == other["place"]
    assert one["sketch"] != other["sketch"]
