"""Cells: they open only in their context and unchanged, and their length depends only on the number of records."""

from __future__ import annotations

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.errors import CellDamagedError
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.records.budget import Budget, size_class
from privacyplease.proxy.segments.groups import Group, SegmentId, tags
from privacyplease.proxy.segments.sealing import CellContext, Digest, Digests, Opener, Sealer
from privacyplease.proxy.storage.cell import Sealed, Tag
from tests.services.arrow_bombs import WRITTEN_OUT, bombs

CELL, DIGEST, TAG = (Key(bytes([number]) * 32) for number in (1, 2, 3))
BUDGET = Budget(1_024, 6.0)
HERE = CellContext("wifi", Group.CORE, Tag(b"t" * 16))
BATCH = pa.record_batch({"who": ["alice", "bob"]})


def sealed_here() -> tuple[Sealed, Digest]:
    (_, sealed), digest = Sealer(CELL, DIGEST).seal(BATCH, HERE, BUDGET, 2)
    return sealed, digest


def test_a_cell_opens_in_its_context() -> None:
    sealed, digest = sealed_here()
    assert Opener(CELL).open(sealed, HERE).equals(BATCH)
    assert Digests(DIGEST).verify(digest, HERE.tag, sealed)


@pytest.mark.parametrize(
    "elsewhere",
    [HERE._replace(tag=Tag(b"u" * 16)), HERE._replace(group=Group.REST), HERE._replace(dataset="bikes")],
    ids=["another tag", "another group", "another data set"],
)
def test_a_cell_does_not_open_in_another_context(elsewhere: CellContext) -> None:
    sealed, _ = sealed_here()
    with pytest.raises(CellDamagedError):
        Opener(CELL).open(sealed, elsewhere)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_bit_of_a_cell_may_change(at: int, flip: int) -> None:
    sealed, digest = sealed_here()
    at %= len(sealed)
    changed = Sealed(sealed[:at] + bytes([sealed[at] ^ flip]) + sealed[at + 1 :])
    assert not Digests(DIGEST).verify(digest, HERE.tag, changed)
    with pytest.raises(CellDamagedError):
        Opener(CELL).open(changed, HERE)


def test_a_cell_key_can_forge_a_cell_that_opens_but_not_its_digest() -> None:
    _, digest = sealed_here()
    forged = Sealer(CELL, Key(bytes(32))).seal(pa.record_batch({"who": ["mallory"]}), HERE, BUDGET, 2)
    assert Opener(CELL).open(forged.cell.sealed, HERE)["who"].to_pylist() == ["mallory"]
    assert not Digests(DIGEST).verify(digest, HERE.tag, forged.cell.sealed)


@given(st.integers(1, 70_000), st.integers(1, 70_000))
def test_a_size_is_a_function_of_the_number_of_records(some: int, more: int) -> None:
    assert BUDGET.size(min(some, more)) <= BUDGET.size(max(some, more))
    assert size_class(BUDGET.size(some)) == BUDGET.size(some)
    assert size_class(some) >= some
    assert size_class(some) <= max(some * 1.25, 4)


def test_a_cells_size_does_not_depend_on_the_content_of_its_batch() -> None:
    """A batch of one device sent 256 times, and one of 256 devices."""
    one, many = pa.record_batch({"who": ["a"] * 256}), pa.record_batch({"who": [f"{n:012x}" for n in range(256)]})
    lengths = {len(Sealer(CELL, DIGEST).seal(batch, HERE, BUDGET, 256).cell.sealed) for batch in (one, many)}
    assert lengths == {BUDGET.size(256)}


def test_a_cell_that_outgrows_its_budget_takes_the_next_size() -> None:
    text = pa.record_batch({"who": [f"{n * 7919 % 10**9:09d}{n * 104729 % 10**9:09d}" for n in range(500)]})
    sealed = Sealer(CELL, DIGEST).seal(text, HERE, Budget(1_024, 0.1), 500)
    assert sealed.size > Budget(1_024, 0.1).size(500)
    assert size_class(sealed.size) == sealed.size


def test_every_group_of_every_segment_has_its_own_tag() -> None:
    numbers = [SegmentId(number) for number in (0, 1, 2**64 - 1)]
    named = [tag for group in Group for tag in tags(TAG, group, numbers)]
    assert len({*named}) == len(named) == 9
    assert {len(tag) for tag in named} == {16}


def test_a_cell_that_another_holder_of_the_key_made_to_exhaust_memory_does_not_open() -> None:
    """A frame that declares a tebibyte, and frames of streams that declare as much."""
    growing = zstandard.ZstdCompressor().compressobj(size=1 << 40)
    endless = growing.compress(bytes(1 << 20)) + growing.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    nested = {name: stream for name, stream in bombs().items() if name not in WRITTEN_OUT}
    frames = [zstandard.compress(stream) for stream in nested.values()]
    before = pa.default_memory_pool().max_memory()
    for frame in (endless, *frames):
        cell = Sealer(CELL, DIGEST).enclose(frame, size_class(len(frame) + 64), HERE).cell
        with pytest.raises(CellDamagedError, match="does not hold a page"):
            Opener(CELL).open(cell.sealed, HERE)
    assert pa.default_memory_pool().max_memory() == before
