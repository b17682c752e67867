"""Set hashes: of the set alone, added and never recomputed, and of no other set."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.sethash import added, entries, sums

KEY = Key(bytes(range(32)))

blocks = st.binary(min_size=16, max_size=16)
cells = st.lists(st.tuples(blocks, blocks), max_size=8, unique=True)

Cells = list[tuple[bytes, bytes]]


def octets(values: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)


def members(of: Cells, key: Key = KEY) -> np.ndarray:
    return entries(key, octets([tag for tag, _ in of]), octets([cell_id for _, cell_id in of]))


def hashed(of: Cells, key: Key = KEY) -> list[int]:
    return sums(members(of, key), np.zeros(len(of), np.int64), 1)[0].tolist()


@given(cells, st.randoms())
def test_the_order_of_members_does_not_matter(of: Cells, random: object) -> None:
    shuffled = list(of)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert hashed(shuffled) == hashed(of)


@given(cells, st.integers(0, 8))
def test_the_hash_of_a_union_is_the_sum_of_its_parts(of: Cells, cut: int) -> None:
    parts = np.array([hashed(of[:cut]), hashed(of[cut:])])
    assert added(*parts).tolist() == hashed(of)


@given(cells, cells)
def test_different_sets_have_different_hashes(one: Cells, other: Cells) -> None:
    assert (hashed(one) == hashed(other)) == (set(one) == set(other))


@given(cells.filter(bool))
def test_a_member_twice_is_another_set(of: Cells) -> None:
    assert hashed([*of, of[0]])[1:] != hashed(of)[1:]


@given(cells.filter(bool))
def test_another_key_gives_another_hash(of: Cells) -> None:
    assert hashed(of, Key(bytes(32)))[1:] != hashed(of)[1:]


def test_a_cell_counts_under_its_own_tag_alone() -> None:
    one, other = bytes(16), bytes([1]) * 16
    assert hashed([(one, other)]) != hashed([(other, one)])


@given(cells, st.lists(st.integers(0, 2), min_size=8, max_size=8))
def test_many_sets_are_hashed_at_once(of: Cells, placed: list[int]) -> None:
    sets = np.array(placed[: len(of)], np.int64)
    together = sums(members(of), sets, 3).tolist()
    assert together == [hashed([cell for cell, at in zip(of, placed, strict=False) if at == one]) for one in range(3)]


def test_sums_stay_below_two_to_the_32() -> None:
    of = [(bytes(16), number.to_bytes(16, "big")) for number in range(1_000)]
    assert max(hashed(of)[1:]) < 1 << 32
    assert hashed(of)[0] == 1_000
