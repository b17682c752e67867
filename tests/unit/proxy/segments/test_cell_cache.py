"""The cell cache: what is held depends on sizes and the order of questions, never on what was opened."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.keys.derivation import KeyId
from privacyplease.proxy.records import dataset
from privacyplease.proxy.segments.cell_cache import CachedCell, CellCache
from privacyplease.proxy.segments.core import Core
from privacyplease.proxy.storage.cell import Sealed, Tag
from tests.services.segments import core_of

WIFI = dataset.load()["wifi"]
OWNER = "wifi", KeyId(7)


def cell(size: int) -> CachedCell:
    return CachedCell(OWNER, size, Sealed(b"sealed"))


def tag(number: int) -> Tag:
    return Tag(number.to_bytes(16, "big"))


def batch_of(_: Sealed) -> pa.RecordBatch:
    raise AssertionError("opened again")


def core() -> Core:
    schema = pa.schema([WIFI.schema.field(name) for name in WIFI.required])
    return core_of(schema.empty_table(), WIFI)


def ask(memory: CellCache, wanted: dict[Tag, int]) -> list[Tag]:
    """Asks a question; returns what it has to fetch."""
    held = memory.held(wanted)
    missing = [name for name in wanted if name not in held]
    memory.keep({name: cell(wanted[name]) for name in missing}, wanted)
    return missing


def test_a_fetched_cell_is_held() -> None:
    memory = CellCache(100)
    assert ask(memory, {tag(1): 40, tag(2): 40}) == [tag(1), tag(2)]
    assert ask(memory, {tag(1): 40, tag(2): 40}) == []
    assert memory.figures == (2, 2, 80)


def test_the_least_recently_asked_for_cell_is_evicted_first() -> None:
    memory = CellCache(100)
    for number in (1, 2):
        ask(memory, {tag(number): 40})
    ask(memory, {tag(1): 40})
    assert ask(memory, {tag(3): 40}) == [tag(3)]
    assert ask(memory, {tag(1): 40}) == []
    assert ask(memory, {tag(2): 40}) == [tag(2)]


def test_a_question_larger_than_the_cache_changes_nothing_in_it() -> None:
    memory = CellCache(100)
    ask(memory, {tag(1): 60})
    assert len(ask(memory, {tag(number): 60 for number in range(1, 4)})) == 2
    assert ask(memory, {tag(1): 60}) == []
    assert memory.figures.bytes == 60


@given(st.lists(st.tuples(st.sets(st.integers(0, 6), min_size=1), st.booleans()), max_size=20))
def test_opening_a_cell_does_not_change_what_is_held(questions: list[tuple[set[int], bool]]) -> None:
    opening, plain = CellCache(100), CellCache(100)
    for numbers, opens in questions:
        wanted = {tag(number): 30 for number in sorted(numbers)}
        assert ask(opening, wanted) == ask(plain, wanted)
        if opens:
            for held in opening.held(wanted).values():
                held._content = core()
            plain.held(wanted)
        assert opening.figures == plain.figures


def test_a_cell_is_opened_once() -> None:
    opened = core()
    held = CachedCell(OWNER, 1, opened)
    assert held.opened(Core, batch_of) is opened


def test_cells_under_a_destroyed_key_are_dropped() -> None:
    memory = CellCache(100)
    ask(memory, {tag(1): 10})
    memory.put(tag(2), CachedCell(("wifi", KeyId(8)), 10, core()))
    memory.forget("wifi", KeyId(7))
    assert memory.figures.bytes == 10
    memory.drop([tag(2)])
    assert memory.figures.bytes == 0
