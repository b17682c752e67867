"""Keys do not leak by accident, and each purpose has its own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.derivation import KEY_BYTES, GroupKeys, Key, context

SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, lambda key: repr([key])], ids=["repr", "str", "format", "list"]
)
def test_a_key_is_masked(show: Callable[[Key], str]) -> None:
    shown = show(Key(SECRET))
    assert "Key(***)" in shown
    assert SECRET.decode() not in shown


def test_derived_keys_are_masked() -> None:
    keys = GroupKeys.derive(Key(SECRET), "wifi", "core")
    assert repr(keys) == "GroupKeys(tag=Key(***), cell=Key(***))"


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_is_neither_pickled_nor_copied(take: Callable[[Key], object]) -> None:
    with pytest.raises(TypeError, match="does not pickle"):
        take(Key(SECRET))


def test_a_key_is_not_hashable() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Key(SECRET))


def test_keys_equal_only_keys_with_the_same_bytes() -> None:
    assert Key(SECRET) == Key(SECRET)
    assert Key(SECRET) != Key(SECRET[::-1])
    assert Key(SECRET) != SECRET


def test_generated_keys_differ() -> None:
    generated = [Key.generate().reveal() for _ in range(100)]
    assert len(set(generated)) == 100
    assert {len(secret) for secret in generated} == {KEY_BYTES}


def test_every_purpose_group_and_data_set_has_its_own_keys() -> None:
    derived = [GroupKeys.derive(Key(SECRET), *place) for place in (("a", "bc"), ("ab", "c"), ("a", "b"))]
    secrets = {key.reveal() for keys in derived for key in (keys.tag, keys.cell)}
    assert len(secrets) == 6


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_contexts_of_different_parts_differ(one: list[bytes], other: list[bytes]) -> None:
    assert (context(b"label", *one) == context(b"label", *other)) == (one == other)
