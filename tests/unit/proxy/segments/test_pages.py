"""Pages: every column comes back unchanged, whatever it holds."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.segments.pages import compressed, decompressed, pack, unpack

INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    ColumnType.MAC: st.integers(0, 2**48 - 1),
    ColumnType.STRING: st.text(max_size=5),
    ColumnType.TIMESTAMP: st.integers(0, 253_402_300_799_999),
    ColumnType.DURATION: st.integers(0, 253_402_300_799_999),
    ColumnType.INT: INTEGERS,
    ColumnType.FLOAT: st.floats(allow_nan=False),
    ColumnType.BOOL: st.booleans(),
}


@given(st.data(), st.sampled_from(list(ColumnType)))
def test_a_column_comes_back_as_it_was(data: st.DataObject, kind: ColumnType) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=12))
    table = pa.table({"column": pa.array(values, kind.stored)})
    assert unpack(decompressed(compressed(pack(table)))).equals(table)


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        (pa.array(["b", None, "a", "b"]), "dictionary<values=string, indices=uint8, ordered=0>"),
        (pa.array([1_000, 2_000, 301_000]), "uint16"),
        (pa.array([dt.datetime(2024, 1, day, tzinfo=dt.UTC) for day in (1, 2, 9)], pa.timestamp("ms", "UTC")), "uint8"),
        (pa.array([None, None], pa.string()), "null"),
        (pa.array([5]), "uint8"),
        (pa.array([-(2**63), 2**63 - 1]), "int64"),
    ],
    ids=["text", "a unit above a base", "days", "nothing", "one value", "too far apart"],
)
def test_a_column_is_stored_in_the_narrowest_type(values: pa.Array, stored: str) -> None:
    assert str(pack(pa.table({"column": values})).schema.types[0]) == stored


def test_a_page_carries_its_column_names_and_types() -> None:
    table = pa.table({"later gone": pa.array([1.5]), "was null": pa.nulls(1, pa.timestamp("ms", tz="UTC"))})
    assert unpack(decompressed(compressed(pack(table)))).schema == table.schema
