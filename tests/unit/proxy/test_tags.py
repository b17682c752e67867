"""Tags and bins: distinct places have distinct names, and equal values share a bin."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.tags import bins, tags

KEY = Key(bytes(range(32)))


def bin_of(message: bytes, count: int) -> int:
    mac = CMAC(algorithms.AES(KEY.reveal()))
    mac.update(message)
    return int.from_bytes(mac.finalize()[:8], "big") % count


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1)), unique=True))
def test_distinct_places_have_distinct_tags(places: list[tuple[int, int, int]]) -> None:
    levels, buckets, bin_numbers = np.array(places, np.int64).reshape(-1, 3).T
    named = {tag.tobytes() for tag in tags(KEY, levels, buckets, bin_numbers)}
    assert len(named) == len(places)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=30), st.integers(1, 65_536))
def test_the_bin_of_a_text_is_the_mac_of_its_bytes(values: list[str], count: int) -> None:
    expected = [bin_of(value.encode(), count) for value in values]
    assert bins(KEY, pa.array(values, pa.string()), ColumnType.STRING, count).tolist() == expected


@given(st.lists(st.integers(0, 2**48 - 1), min_size=1, max_size=30), st.integers(1, 65_536))
def test_the_bin_of_an_address_is_the_mac_of_its_six_bytes(values: list[int], count: int) -> None:
    expected = [bin_of(value.to_bytes(6, "big"), count) for value in values]
    assert bins(KEY, pa.array(values, pa.int64()), ColumnType.MAC, count).tolist() == expected


def test_a_slice_has_the_bins_of_its_own_values() -> None:
    values = pa.array(["a", "bb", "ccc", "", "eeeee"])
    all_bins = bins(KEY, values, ColumnType.STRING, 64).tolist()
    assert bins(KEY, values.slice(2), ColumnType.STRING, 64).tolist() == all_bins[2:]


def test_one_long_value_costs_no_memory_for_the_short_ones() -> None:
    values = pa.array([f"place {number}" for number in range(4_000)] + ["x" * 65_536])
    tracemalloc.start()
    bins(KEY, values, ColumnType.STRING, 8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_many_values_fill_every_bin_alike() -> None:
    counted = np.bincount(bins(KEY, pa.array(range(80_000)), ColumnType.MAC, 8), minlength=8)
    assert counted.min() > 9_600
    assert counted.max() < 10_400
