"""Heads: an older home always finds a newer one, and the server keeps few of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.manifest.head import HEAD_BYTES, Head, HeadKeys, ahead_of, dropped, kept
from privacyplease.proxy.storage.cell import Cell, Sealed

HEAD = Head(sequence=7, version=40, link=b"l" * 32, at=1_727_784_000_123)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_an_older_home_asks_for_a_head_that_the_server_keeps(newest: int, behind: int) -> None:
    known = max(newest - behind, 0)
    assert kept(newest) & ahead_of(known)
    assert max(kept(newest)) == newest


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_no_older_home_depends_on_a_single_head(newest: int, behind: int) -> None:
    """A head that never arrived because of a crash hides nothing, unless it is the only newer one."""
    known = max(newest - behind, 0)
    if newest - known > 1:
        assert len(kept(newest) & ahead_of(known)) > 1


@given(st.integers(1, 3_000), st.sampled_from([1, 7, 64]))
def test_dropping_heads_in_batches_leaves_exactly_the_kept_ones(rounds: int, together: int) -> None:
    there: set[int] = set()
    for newest in range(1, rounds + 1):
        there.add(newest)
        if newest % together == 0:
            there -= dropped(newest, together)
            assert there == kept(newest) - {0}
    assert len(there) <= 2 * rounds.bit_length() + together


def test_a_head_opens_only_under_its_own_tag(keyring: Keyring) -> None:
    keys = HeadKeys(keyring)
    cell, other = keys.seal(HEAD), keys.seal(HEAD._replace(sequence=8))
    assert keys.open(cell) == HEAD
    assert len(cell.sealed) == HEAD_BYTES
    assert keys.tags([7, 8]) == [cell.tag, other.tag]
    assert keys.open(Cell(other.tag, cell.sealed)) is None
    assert keys.open(Cell(cell.tag, Sealed(cell.sealed[:-1] + bytes([cell.sealed[-1] ^ 1])))) is None
    assert keys.open(Cell(cell.tag, Sealed(b"short"))) is None


@pytest.mark.parametrize("changes", [[b"a", b"b"], [b"ab"], [b"b", b"a"], []])
def test_every_change_makes_a_different_link(keyring: Keyring, changes: list[bytes]) -> None:
    keys = HeadKeys(keyring)
    links = {keys.linked(HEAD, 41, each) for each in ([b"a", b"b"], [b"ab"], [b"b", b"a"], [])}
    assert len(links) == 4
    assert keys.linked(HEAD, 41, changes) != keys.linked(HEAD, 42, changes)
    assert keys.linked(HEAD, 41, changes) != keys.linked(HEAD._replace(link=b"m" * 32), 41, changes)
