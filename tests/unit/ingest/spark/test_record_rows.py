from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from privacyplease.ingest.spark.options import DurationUnit
from privacyplease.ingest.spark.parsed_batches import ParsedBatch
from privacyplease.ingest.spark.record_rows import RecordRows
from tests.unit.ingest.spark.definitions import WIFI

NOON = datetime(2024, 10, 1, 12, tzinfo=UTC)


def _batch(**columns: Any) -> pa.RecordBatch:
    number = max(len(values) for values in columns.values())
    every: dict[str, Any] = {
        "client_mac": ["02:00:00:00:00:01"] * number,
        "ap_name": ["Hall"] * number,
        "association_time": pa.array([NOON] * number, pa.timestamp("us", "UTC")),
        "session_duration": pa.array([timedelta(minutes=1)] * number, pa.duration("us")),
        **columns,
    }
    return pa.record_batch(every)


def _read(batch: pa.RecordBatch, unit: DurationUnit | None = None, zone: ZoneInfo | None = None) -> ParsedBatch:
    (parsed,) = RecordRows(WIFI, unit, zone)(batch)
    return parsed


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        (DurationUnit.SECONDS, [0, 60, 86_400]),
        (DurationUnit.MILLISECONDS, [0, 60_000, 86_400_000]),
        (DurationUnit.MICROSECONDS, [0, 60_000_000, 86_400_000_000]),
        (DurationUnit.NANOSECONDS, [0, 60_000_000_000, 86_400_000_000_000]),
    ],
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_numbers_are_durations_in_their_unit(unit: DurationUnit, values: list[int], kind: pa.DataType) -> None:
    table = _read(_batch(session_duration=pa.array(values, kind)), unit).parsed.table
    assert table["session_duration"].type == pa.duration("ms")
    assert table["session_duration"].to_pylist() == [timedelta(0), timedelta(minutes=1), timedelta(days=1)]


def test_a_number_that_is_no_duration_rejects_its_row_alone() -> None:
    values = pa.array([60.0, -1.0, float("nan"), float("inf"), 1e300, None])
    parsed = _read(_batch(session_duration=values), DurationUnit.SECONDS).parsed
    assert [(each.position, each.field) for each in parsed.rejects] == [
        (row, "session_duration") for row in (1, 2, 3, 4)
    ]
    assert {each.reason for each in parsed.rejects} == {
        "expected a duration of 0 or more, and of less than 8,000 years"
    }
    assert parsed.rows.tolist() == [0, 5]
    assert parsed.table["session_duration"].to_pylist() == [timedelta(minutes=1), None]  # the proxy rejects the null


def test_local_times_are_converted_and_those_that_occur_twice_rejected() -> None:
    local = [
        datetime(2024, 7, 1, 12),
        datetime(2024, 10, 27, 2, 30),
        datetime(2024, 3, 31, 2, 30),
        datetime(1960, 1, 1),
        None,
    ]
    times = pa.array(local, pa.timestamp("us"))
    parsed = _read(_batch(association_time=times), zone=ZoneInfo("Europe/Vienna")).parsed
    assert parsed.table["association_time"].to_pylist() == [datetime(2024, 7, 1, 10, tzinfo=UTC), None]
    assert [each.position for each in parsed.rejects] == [1, 2, 3]
    assert "occurs twice" in parsed.rejects[0].reason
    assert "skipped when the clocks went forward" in parsed.rejects[1].reason
    assert parsed.rejects[2].reason == "expected a time in the years 1970 to 9999"


def test_text_that_is_not_utf8_and_a_row_that_is_too_large_reject_their_rows_alone() -> None:
    raw = pa.array([b"Hall", b"H\xffll", b"x" * 1_100_000, b"Hall"], pa.binary())
    parsed = _read(_batch(device_name=raw.view(pa.string()))).parsed
    assert [tuple(each) for each in parsed.rejects] == [
        (1, "device_name", "expected text in UTF-8"),
        (2, "record", "expected a record of at most 1,048,576 bytes"),
    ]
    assert parsed.table["device_name"].to_pylist() == ["Hall", "Hall"]


def test_columns_whose_meaning_is_known_are_passed_on_unchanged() -> None:
    batch = _batch(visits=pa.array([1]), signal=pa.array([-0.5]), guest=pa.array([True]))
    parsed = _read(batch).parsed
    assert parsed.table == pa.Table.from_batches([batch])
    assert parsed.rejects == []


def test_a_letter_has_the_row_as_json_and_its_number_within_the_task() -> None:
    reader = RecordRows(WIFI, DurationUnit.SECONDS, None)
    list(reader(_batch(session_duration=pa.array([1, 2, 3]))))
    raw = pa.array([b"ok", b"H\xffll"], pa.binary()).view(pa.string())
    (second,) = reader(_batch(session_duration=pa.array([1, -2]), device_name=raw))
    first, *others = sorted(second.parsed.rejects)
    assert others == []
    letter = second.letter(first)
    assert json.loads(letter.message.decode("utf-8", "surrogateescape")) == {
        "client_mac": "02:00:00:00:00:01",
        "ap_name": "Hall",
        "association_time": "2024-10-01 12:00:00+00:00",
        "session_duration": -2,
        "device_name": "H\udcffll",
    }
    assert b"H\xffll" in letter.message
    assert (letter.origin.topic, letter.origin.offset, letter.key) == ("spark/rows", 4, None)
    assert "Hall" not in repr(letter)
