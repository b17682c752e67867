"""Records: bad ones are rejected with a reason, and of several forms of a record the longest is kept."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.errors import MalformedBatchError
from privacyplease.proxy.records import dataset
from privacyplease.proxy.records.tables import MOST_TEXT_BYTES, check, longest

WIFI = dataset.load()["wifi"]
GOOD: dict[str, Any] = {
    "client_mac": "aa:bb:cc:dd:ee:ff",
    "ap_name": "ap-1",
    "association_time": "2024-10-01T08:00:00Z",
    "session_duration": "45",
}


def checked(*records: dict[str, Any]) -> Any:
    names = {name: None for record in records for name in record}
    return check(pa.Table.from_pylist([dict.fromkeys(names) | record for record in records]), WIFI)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"client_mac": "bogus"}, "client_mac", "expected a MAC address of 12 hexadecimal digits"),
        ({"client_mac": None}, "client_mac", "expected a value, got none"),
        ({"ap_name": ""}, "ap_name", "expected a value, got none"),
        ({"ap_name": None}, "ap_name", "expected a value, got none"),
        ({"ap_name": "é" * MOST_TEXT_BYTES}, "ap_name", "expected text of at most 65,536 bytes"),
        ({"vendor": "x" * (MOST_TEXT_BYTES + 1)}, "vendor", "expected text of at most 65,536 bytes"),
        ({"association_time": "2024-10-01T08:00:00"}, "association_time", "expected an ISO 8601 time with a zone"),
        ({"association_time": "1969-12-31T23:59:59Z"}, "association_time", "expected a time from 1970 to 9999"),
        ({"session_duration": "soon"}, "session_duration", "expected a duration in seconds"),
        ({"session_duration": None}, "session_duration", "expected a value, got none"),
        ({"session_duration": "300000000000"}, "session_duration", "expected a record that ends by the year 9999"),
    ],
    ids=lambda value: None,
)
def test_a_bad_record_is_rejected_with_field_and_reason(change: dict[str, Any], field: str, reason: str) -> None:
    result = checked(GOOD, GOOD | change, GOOD)
    assert [tuple(rejection) for rejection in result.rejections] == [(1, field, reason)]
    assert len(result.records) == 2


def test_a_negative_duration_is_bad() -> None:
    result = check(pa.Table.from_pylist([GOOD | {"session_duration": -1}]), WIFI)
    assert [rejection.reason for rejection in result.rejections] == ["expected a duration of at least 0"]


def test_a_record_is_rejected_once_for_its_first_fault() -> None:
    result = checked({"client_mac": "x", "ap_name": None, "association_time": "y", "session_duration": "z"}, GOOD)
    assert [(rejection.row, rejection.field) for rejection in result.rejections] == [(0, "client_mac")]


def test_a_reason_never_holds_the_value() -> None:
    result = checked(GOOD | {"client_mac": "aa:bb:cc:dd:ee:gg", "ap_name": "secret place"})
    assert "gg" not in str(result.rejections)


def test_the_last_instant_may_be_the_end_of_the_year_9999() -> None:
    edge = GOOD | {"association_time": "9999-12-31T23:59:59.999Z", "session_duration": "0"}
    assert len(checked(edge).records) == 1
    assert checked(edge | {"session_duration": "0.001"}).rejections[0].field == "session_duration"


def test_missing_columns_are_null_and_all_are_in_the_definitions_order() -> None:
    records = checked(dict(reversed(GOOD.items()))).records
    assert records.schema == WIFI.schema
    assert records["vendor"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pa.table({**{name: ["x"] for name in GOOD}, "colour": ["red"]}),
            "no such column: colour; expected client_mac",
        ),
        (pa.table({name: ["x"] for name in list(GOOD)[:3]}), "missing column: session_duration"),
        (pa.Table.from_arrays([pa.array(["x"])] * 2, ["ap_name", "ap_name"]), "expected each column once"),
        (pa.table({**{name: ["x"] for name in GOOD}, "client_mac": [[1]]}), "client_mac: expected a MAC address"),
    ],
    ids=["unknown", "missing", "twice", "wrong type"],
)
def test_a_batch_that_does_not_fit_the_data_set_is_refused(table: pa.Table, message: str) -> None:
    with pytest.raises(MalformedBatchError, match=message) as refused:
        check(table, WIFI)
    assert refused.value.field == "records"


forms = st.lists(
    st.tuples(
        st.integers(0, 2),  # subject
        st.sampled_from("ab"),  # place
        st.integers(0, 2),  # start
        st.integers(0, 3),  # duration
        st.none() | st.sampled_from(["x", "y"]),  # another column
    ),
    max_size=20,
)


def table(found: list[tuple[Any, ...]]) -> pa.Table:
    names = [WIFI.subject, WIFI.place, WIFI.start, WIFI.duration, "ssid"]
    columns = list(zip(*found, strict=True)) or [()] * len(names)
    arrays = [pa.array(list(c), WIFI.columns[n].stored) for c, n in zip(columns, names, strict=True)]
    return pa.table(arrays, names=names)


@given(forms, st.randoms())
def test_the_longest_form_of_each_record_is_kept_whatever_the_order(found: list[tuple[Any, ...]], random: Any) -> None:
    kept = longest(table(found), WIFI)
    identities = kept.select([WIFI.start, WIFI.subject, WIFI.place]).to_pylist()
    expected = {(s, w, p): max(f[3] for f in found if (f[2], f[0], f[1]) == (s, w, p)) for w, p, s, _, _ in found}
    assert kept[WIFI.duration].cast(pa.int64()).to_pylist() == [expected[key] for key in sorted(expected)]
    assert len(identities) == len(expected)
    shuffled = list(found)
    random.shuffle(shuffled)
    assert longest(table(shuffled), WIFI).equals(kept)
