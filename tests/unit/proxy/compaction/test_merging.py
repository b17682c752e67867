"""Merging: one record of each identity survives, the one that `longest` chooses, with all its columns."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.compaction.merging import concatenated, segment_records, survivors
from privacyplease.proxy.records.dataset import Dataset, parse
from privacyplease.proxy.records.tables import check, longest
from privacyplease.proxy.segments.core import Core, packed
from privacyplease.proxy.segments.pages import CODED, pack
from privacyplease.proxy.segments.segment import core_columns, in_order

DAY = 86_400_000

DEFINITION = """
name = "{name}"
title = "{name}"
epoch_days = 30
subject = "who"
place = "where"
start = "since"
duration = "for"
[columns]
who = "{kind}"
where = "string"
since = "timestamp"
for = "duration"
note = "string"
level = "int"
ratio = "float"
open = "bool"
"""
MACS = parse(DEFINITION.format(name="macs", kind="mac"))
NAMES = parse(DEFINITION.format(name="names", kind="string"))


def coded(records: pa.Table, dataset: Dataset) -> pa.Table:
    """Records as they come from a segment."""
    ordered = in_order(records, dataset)
    core = Core(packed(core_columns(ordered, dataset)))
    return segment_records(core, pack(ordered.drop_columns(list(dataset.required))), dataset)


def plain(records: pa.Table) -> pa.Table:
    columns = [column.cast(pa.string()) if column.type == CODED else column for column in records.columns]
    return pa.table(columns, names=records.column_names)


def table(rows: list[tuple[object, ...]], dataset: Dataset) -> pa.Table:
    columns = [pa.array(of) for of in zip(*rows, strict=True)]
    who, where, since, lasting = columns[:4]
    times = (since.cast(pa.timestamp("ms", tz="UTC")), lasting.cast(pa.duration("ms")))
    given_table = pa.table([who, where, *times, *columns[4:]], names=list(dataset.columns)[: len(columns)])
    return check(given_table, dataset).records


def rows(who: st.SearchStrategy[object]) -> st.SearchStrategy[list[tuple[object, ...]]]:
    some = st.sampled_from
    return st.lists(
        st.tuples(
            who,
            some(["a", "b"]),
            some([0, 1_000, DAY]),
            some([0, 5]),
            some(["x", "y", None]),
            some([1, 2, None]),
            some([0.5, None]),
            some([True, False, None]),
        ),
        min_size=1,
        max_size=30,
    )


@pytest.mark.parametrize(("dataset", "who"), [(MACS, [1, 2]), (NAMES, ["one", "two"])], ids=["macs", "names"])
def test_merging_keeps_the_record_of_each_identity_that_longest_chooses(dataset: Dataset, who: list[object]) -> None:
    @given(st.lists(rows(st.sampled_from(who)), min_size=1, max_size=3))
    def holds(segments: list[list[tuple[object, ...]]]) -> None:
        tables = [table(of, dataset) for of in segments]
        merged = concatenated((coded(of, dataset) for of in tables), dataset)
        kept = plain(merged.take(pa.array(survivors(merged, dataset))))
        expected = longest(pa.concat_tables(tables), dataset)
        identity = [(name, "ascending") for name in dataset.identity]
        assert kept.sort_by(identity).to_pylist() == expected.sort_by(identity).to_pylist()
        starts = kept[dataset.start].to_pylist()
        assert starts == sorted(starts)

    holds()


def test_a_column_that_a_segment_lacks_is_null_there_and_one_that_was_dropped_is_kept() -> None:
    old = table([(1, "a", 0, 5, "x", 1, 0.5, True)], MACS).append_column("dropped", pa.array(["d"]))
    new = table([(2, "b", 0, 5, "y", 2, 0.5, True)], MACS).drop_columns(["note"])
    merged = plain(concatenated([coded(old, MACS), coded(new, MACS)], MACS))
    assert merged.column_names == [*MACS.columns, "dropped"]
    assert merged["note"].to_pylist() == ["x", None]
    assert merged["dropped"].to_pylist() == ["d", None]
