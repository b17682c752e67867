"""The core compared with the simplest way to filter the same records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import LATEST, Interval
from privacyplease.proxy.segments.core import Core, packed
from privacyplease.proxy.segments.pages import compressed, decompressed
from privacyplease.proxy.segments.segment import core_columns, in_order
from tests.services.segments import core_of

WIFI, BIKES = (dataset.load()[name] for name in ("wifi", "bikes"))

Session = tuple[int, str, int, int]  # who, where, from, for how long

instants = st.integers(0, 40) | st.integers(0, 40).map(lambda minute: minute * 60_000) | st.integers(0, LATEST)
sessions = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["a", "b", "café", ""]), instants, st.just(0) | st.integers(0, 90_000)
    ),
    max_size=25,
).map(lambda found: [session for session in found if session[2] + session[3] <= LATEST])


def table(found: list[Session], of: Dataset = WIFI) -> pa.Table:
    schema = pa.schema([of.schema.field(name) for name in of.required])
    text = pa.types.is_string(schema.field(of.subject).type)
    rows = [(f"s/{who}" if text else who, *rest) for who, *rest in found]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def rows(core: Core, of: Dataset) -> list[tuple[Any, ...]]:
    columns = core.columns()
    return list(
        zip(columns.subjects.to_pylist(), columns.places.to_pylist(), columns.starts, columns.durations, strict=True)
    )


@given(sessions, st.sampled_from([WIFI, BIKES]))
def test_a_core_holds_its_records_by_subject_and_start(found: list[Session], of: Dataset) -> None:
    core = core_of(table(found, of), of)
    held = rows(core, of)
    assert [row[0::2] for row in held] == sorted(row[0::2] for row in held)
    plain = [(f"s/{who}" if of is BIKES else who, *rest) for who, *rest in found]
    assert sorted(held) == sorted(plain)


@given(sessions, instants, instants, st.sampled_from(["a", "café", "z"]))
def test_a_core_filters_like_plain_arithmetic(found: list[Session], a: int, b: int, place: str) -> None:
    interval, core = Interval(min(a, b), max(a, b)), core_of(table(found), WIFI)
    held = rows(core, WIFI)
    within = [start <= interval.end and start + long >= interval.start for _, _, start, long in held]
    assert core.overlapping(interval).tolist() == within
    assert core.at([place]).tolist() == [row[1] == place for row in held]
    assert core.at([place, "b"]).tolist() == [row[1] in (place, "b") for row in held]
    chosen = np.array(within, bool)
    assert core.present(chosen).to_pylist() == sorted({row[0] for row, kept in zip(held, within, strict=True) if kept})


@given(sessions, st.integers(0, 5), st.sampled_from([WIFI, BIKES]))
def test_the_records_of_a_subject_are_one_slice(found: list[Session], who: int, of: Dataset) -> None:
    core = core_of(table(found, of), of)
    wanted = f"s/{who}" if of is BIKES else who
    held = rows(core, of)
    assert held[core.rows_of(wanted)] == [row for row in held if row[0] == wanted]


@given(sessions)
def test_a_page_brings_back_the_same_core(found: list[Session]) -> None:
    columns = core_columns(in_order(table(found), WIFI), WIFI)
    core = Core(decompressed(compressed(packed(columns))))
    assert rows(core, WIFI) == rows(Core.of(columns), WIFI)


def test_times_in_whole_seconds_take_few_bytes() -> None:
    found = [(number % 7, "ap", 1_700_000_000_000 + number * 1_000, 60_000) for number in range(1_000)]
    batch = packed(core_columns(in_order(table(found), WIFI), WIFI))
    assert [str(kind) for kind in batch.schema.types[2:]] == ["uint16", "uint8"]


@pytest.mark.parametrize("records", [0, 1, 100])
def test_a_core_reports_its_memory(records: int) -> None:
    core = core_of(table([(number, "ap", number, 0) for number in range(records)]), WIFI)
    assert len(core) == records
    assert core.nbytes <= 64 + 32 * records
