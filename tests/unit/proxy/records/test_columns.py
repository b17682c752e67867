"""Columns: every notation is read, and a value that cannot be read does not spoil the rest of the column."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.records.columns import TIMESTAMP, ColumnType, read, read_one, show, show_one

NUMBER = 0xAABBCCDDEEFF


def values(column: list[Any] | pa.Array, kind: ColumnType) -> list[Any]:
    """The stored values, with "bad" for bad ones."""
    given = column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)
    result = read(given, kind)
    assert result.values.type == kind.stored
    return ["bad" if bad else value for value, bad in zip(result.values.to_pylist(), result.bad, strict=True)]


@pytest.mark.parametrize(
    "text",
    [
        "aa:bb:cc:dd:ee:ff",
        "AA-BB-CC-DD-EE-FF",
        "aabb.ccdd.eeff",
        "aabb-ccdd-eeff",
        "aabbcc-ddeeff",
        "AABBCCDDEEFF",
        "aA:bB:cC:dD:eE:fF",
        "  aa:bb:cc:dd:ee:ff \n",
    ],
)
def test_an_address_reads_in_every_notation(text: str) -> None:
    assert values([text], ColumnType.MAC) == [NUMBER]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Unknown",
        "aa:bb:cc:dd:ee",
        "aa:bb:cc:dd:ee:ff:00",
        "aa:bb-cc:dd:ee:ff",
        "aab.bccdd.eeff",
        "a:bb:cc:dd:ee:ff",
        "aa:bb:cc:dd:ee:fg",
        "aa bb cc dd ee ff",
        "٠a:bb:cc:dd:ee:ff",
    ],
    ids=ascii,
)
def test_text_that_is_not_an_address_is_bad(text: str) -> None:
    assert values([text], ColumnType.MAC) == ["bad"]


def test_an_address_may_be_a_number_of_48_bits() -> None:
    assert values([NUMBER, 0, -1, 1 << 48], ColumnType.MAC) == [NUMBER, 0, "bad", "bad"]


@given(st.lists(st.integers(0, 2**48 - 1)))
def test_an_address_is_shown_in_canonical_notation(numbers: list[int]) -> None:
    shown = show(pa.array(numbers, pa.int64()), ColumnType.MAC)
    assert shown.to_pylist() == [
        ":".join(f"{number:012x}"[at : at + 2] for at in range(0, 12, 2)) for number in numbers
    ]
    assert read(shown, ColumnType.MAC).values.to_pylist() == numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-10-01T08:00:00Z", "2024-10-01T08:00:00"),
        ("2024-10-01 08:00:00Z", "2024-10-01T08:00:00"),
        ("2024-10-01T08:00:00+09:00", "2024-09-30T23:00:00"),
        ("2024-10-01T08:00:00-0330", "2024-10-01T11:30:00"),
        ("2024-10-01T08:00:00.5Z", "2024-10-01T08:00:00.500"),
        ("2024-10-01T08:00:00.123999999Z", "2024-10-01T08:00:00.123"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00"),
    ],
)
def test_a_time_reads_with_its_zone(text: str, expected: str) -> None:
    assert values([text], ColumnType.TIMESTAMP) == [datetime.fromisoformat(expected).replace(tzinfo=UTC)]


@pytest.mark.parametrize(
    "text",
    [
        "2024-10-01T08:00:00",
        "2024-10-01",
        "2024-10-01T08:00Z",
        "2023-02-29T00:00:00Z",
        "2024-04-31T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-10-01T24:00:00Z",
        "2024-10-01T08:00:60Z",
        "2024-10-01T08:00:00+25:00",
        "2024-10-01T08:00:00 JST",
        "1727769600",
        "",
    ],
)
def test_text_that_is_not_a_time_with_a_zone_is_bad(text: str) -> None:
    assert values([text, "2024-10-01T08:00:00Z"], ColumnType.TIMESTAMP)[0] == "bad"


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_typed_time_keeps_its_milliseconds(unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    column = pa.array([1_727_769_600 * per_second], pa.timestamp(unit, tz="Asia/Tokyo"))
    assert read(column, ColumnType.TIMESTAMP).values.cast(pa.int64()).to_pylist() == [1_727_769_600_000]


def test_times_are_truncated_to_milliseconds() -> None:
    assert read(pa.array([1_999], pa.timestamp("us", tz="UTC")), ColumnType.TIMESTAMP).values.cast(
        pa.int64()
    ).to_pylist() == [1]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([0], pa.timestamp("ms")), ColumnType.TIMESTAMP),
        (pa.array([0]), ColumnType.TIMESTAMP),
        (pa.array([2**62], pa.timestamp("s", tz="UTC")), ColumnType.TIMESTAMP),
        (pa.array([2**62], pa.duration("s")), ColumnType.DURATION),
        (pa.array([1.0]), ColumnType.MAC),
        (pa.array([b"\xff"]), ColumnType.STRING),
        (pa.array([[1]]), ColumnType.STRING),
        (pa.array([[1]]), ColumnType.INT),
        (pa.array([{"a": 1}]), ColumnType.BOOL),
    ],
    ids=[
        "naive",
        "number",
        "time beyond ms",
        "duration beyond ms",
        "float mac",
        "not UTF-8",
        "list",
        "list int",
        "struct",
    ],
)
def test_a_column_of_a_wrong_arrow_type_is_refused(column: pa.Array, kind: ColumnType) -> None:
    with pytest.raises((pa.ArrowInvalid, pa.ArrowNotImplementedError)):
        read(column, kind)


def test_a_duration_reads_as_seconds() -> None:
    text = ["45", "45.5", "0", "0.001", " 7 ", "-1", "1 hrs", "", "1e3"]
    expected = [45_000, 45_500, 0, 1, 7_000, "bad", "bad", "bad", "bad"]
    assert [v if v == "bad" else v // timedelta(milliseconds=1) for v in values(text, ColumnType.DURATION)] == expected


def test_a_number_as_a_duration_means_seconds() -> None:
    column = pa.array([45, 0.0019, -1.0, float("nan"), float("inf"), 1e300, None])
    result = read(column, ColumnType.DURATION)
    assert result.values.cast(pa.int64()).to_pylist() == [45_000, 1, -1_000, None, None, None, None]
    assert result.bad.tolist() == [False, False, False, True, True, True, False]


@pytest.mark.parametrize(
    ("kind", "column", "expected"),
    [
        (
            ColumnType.INT,
            ["7", "+7", "-7", "0007", "1.0", "x", "", "9" * 19],
            [7, 7, -7, 7, "bad", "bad", "bad", "bad"],
        ),
        (ColumnType.INT, [7.0, 7.5, float("nan"), 1e18, None], [7, "bad", "bad", "bad", None]),
        (ColumnType.FLOAT, ["1.5", "-2", "+1e-3", "1e400", "nan", "0x1"], [1.5, -2.0, 0.001, "bad", "bad", "bad"]),
        (ColumnType.FLOAT, [1, 2], [1.0, 2.0]),
        (ColumnType.BOOL, ["true", "FALSE", "1", "yes", ""], [True, False, "bad", "bad", "bad"]),
        (ColumnType.BOOL, [True, None], [True, None]),
        (ColumnType.STRING, [1, None], ["1", None]),
        (ColumnType.STRING, ["", " a "], ["", " a "]),
    ],
    ids=["int text", "int float", "float text", "float int", "bool text", "bool", "string int", "string"],
)
def test_each_value_is_read_or_bad_on_its_own(kind: ColumnType, column: list[Any], expected: list[Any]) -> None:
    assert values(column, kind) == expected


@pytest.mark.parametrize("kind", ColumnType)
def test_nulls_and_empty_columns_are_not_bad(kind: ColumnType) -> None:
    assert values(pa.nulls(3), kind) == [None] * 3
    assert values(pa.array([None, None], pa.string()), kind) == [None] * 2
    assert values(pa.array([], pa.string()), kind) == []


@pytest.mark.parametrize("wrap", [pa.Array.dictionary_encode, lambda a: pa.chunked_array([a[:1], a[1:]])])
def test_dictionaries_and_chunks_read_as_their_values(wrap: Callable[[Any], Any]) -> None:
    column = wrap(pa.array(["aa:bb:cc:dd:ee:ff", "bogus", None]))
    assert values(column, ColumnType.MAC) == [NUMBER, "bad", None]
    assert values(column, ColumnType.STRING) == ["aa:bb:cc:dd:ee:ff", "bogus", None]


def test_large_text_reads_as_text() -> None:
    assert values(pa.array(["45"], pa.large_string()), ColumnType.INT) == [45]


def test_all_columns_but_addresses_are_shown_as_stored() -> None:
    column = pa.array([0], TIMESTAMP)
    assert show(column, ColumnType.TIMESTAMP) is column
    assert {kind.shown == kind.stored for kind in ColumnType if kind is not ColumnType.MAC} == {True}


@given(st.lists(st.text(max_size=30)), st.sampled_from([kind for kind in ColumnType if kind is not ColumnType.STRING]))
def test_no_text_makes_reading_fail(text: list[str], kind: ColumnType) -> None:
    result = read(pa.array(text, pa.string()), kind)
    assert np.array_equal(result.bad, result.values.is_null().to_numpy(zero_copy_only=False))


@pytest.mark.parametrize("kind", ColumnType)
def test_a_single_value_reads_and_shows_like_a_column(kind: ColumnType) -> None:
    macs = [
        "aabbccddeeff",
        "AA:bb:cc:dd:ee:0f",
        "0a-bb-cc-dd-ee-ff",
        "aabb.ccdd.eeff",
        "AABB-ccdd-eeff",
        "aabbcc-ddeeff",
        "aa:bb:cc-dd:ee:ff",
        "aabbccddeef",
    ]
    texts = [
        *macs,
        f" {macs[0]}\t",
        f"{macs[0]}\n",
        "\u212a" * 12,
        "",
        "ap",
        "1",
        "1.5",
        "true",
        "2024-05-06T07:08:09Z",
    ]
    column = read(pa.array(texts, pa.string()), kind).values
    stored = [read_one(text, kind) for text in texts]
    assert stored == list(column)
    shown = show(column, kind).to_pylist() if kind is not ColumnType.MAC else show(column.drop_null(), kind).to_pylist()
    assert [show_one(each, kind) for each in stored if each.is_valid] == [each for each in shown if each is not None]
