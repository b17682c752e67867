"""Cells: what their size says, and that they open only where they were sealed (see also test_vectors.py)."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.cells import padme

lengths = st.integers(1, 2**32)


@given(lengths)
def test_padding_adds_at_most_an_eighth(length: int) -> None:
    assert length <= padme(length) <= max(length * 1.12, length + 1)


@given(lengths)
def test_a_padded_length_is_padded_already(length: int) -> None:
    assert padme(padme(length)) == padme(length)


@given(lengths, lengths)
def test_padding_keeps_the_order_of_lengths(one: int, other: int) -> None:
    assert (padme(one) <= padme(other)) or one > other


def test_few_lengths_remain() -> None:
    padded = {padme(length) for length in range(256, 65_537)}
    assert len(padded) <= 16 * math.log2(65_536 / 256) + 1
