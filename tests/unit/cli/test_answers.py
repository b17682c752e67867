import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
import typer

from privacyplease.cli.commands import count, explain, occupancy, places, presence, status, verify
from privacyplease.cli.record_formats import ARROW, CSV, JSON_LINES, format_of
from privacyplease.client import (
    Count,
    ExplainedCell,
    Explanation,
    Finding,
    Occupancy,
    Peak,
    PlaceCounts,
    Presence,
    Records,
    Series,
    Sessions,
    Verification,
)
from privacyplease.client.records import RecordPage

EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
EIGHT_MS = 1_727_769_600_000


def test_presence_as_json() -> None:
    sessions = Sessions(("ap-1", "ap-2"), (EIGHT_MS, EIGHT_MS + 1), (EIGHT_MS, EIGHT_MS + 45_000))
    assert presence.document(Presence("aa:bb", True, sessions)) == {
        "device": "aa:bb",
        "present": True,
        "sessions": [
            {"place": "ap-1", "start": "2024-10-01T08:00:00Z", "end": "2024-10-01T08:00:00Z"},
            {"place": "ap-2", "start": "2024-10-01T08:00:00.001Z", "end": "2024-10-01T08:00:45Z"},
        ],
    }


def test_presence_of_nobody_as_json() -> None:
    nobody = Presence("aa:bb", False, Sessions((), (), ()))
    assert presence.document(nobody) == {"device": "aa:bb", "present": False, "sessions": []}


def test_occupancy_as_json() -> None:
    found = Occupancy(Peak(EIGHT, 40), Series(EIGHT, timedelta(minutes=15), (40, 12)))
    assert occupancy.document(found) == {
        "peak": {"at": "2024-10-01T08:00:00Z", "distinct_devices": 40},
        "series": [
            {"at": "2024-10-01T08:00:00Z", "distinct_devices": 40},
            {"at": "2024-10-01T08:15:00Z", "distinct_devices": 12},
        ],
    }


def test_an_estimate_says_so_and_how_far_it_may_be_off() -> None:
    estimate = Count(90_000, at_least=89_300, at_most=90_700)
    assert count.shown(estimate) == "≈ 90,000 distinct devices (89,300 to 90,700)"
    assert count.document(estimate) == {
        "distinct_devices": 90_000,
        "at_least": 89_300,
        "at_most": 90_700,
    }
    assert count.shown(Count(1)) == "1 distinct device"
    assert count.document(Count(1)) == {"distinct_devices": 1}


def test_places_as_json() -> None:
    assert places.document(PlaceCounts(("ap-1",), (3,))) == {"places": [{"place": "ap-1", "distinct_devices": 3}]}


FINDING = Finding("wifi", "core", EIGHT, EIGHT + timedelta(hours=1), 1_200, 0, 1)


def test_a_verification_as_json() -> None:
    document = verify.document(Verification(tags=24, cells=1_300, findings=(FINDING, FINDING)))
    assert document["findings"][1] == {
        "dataset": "wifi",
        "group": "core",
        "first_start": "2024-10-01T08:00:00Z",
        "last_start": "2024-10-01T09:00:00Z",
        "missing": 1_200,
        "unexpected": 0,
        "damaged": 1,
    }
    del document["findings"]
    assert document == {"sound": False, "cells": 1_300, "tags": 24, "missing": 2_400, "unexpected": 0, "damaged": 2}


CELL = ExplainedCell(b"\x01" * 16, b"\x02" * 64, 1_280, 9, 4, False)
EXPLANATION = Explanation(
    tags=1,
    first_tags=(CELL.tag,),
    cells=1,
    bytes=1_280,
    first_cells=(CELL,),
    records_opened=9,
    records_kept=4,
    records_distinct=3,
    answer=Count(2),
    rollup_tags=0,
    rollup_cells=0,
    sketches_opened=0,
    sketches_kept=0,
)


def test_an_explanation_as_json() -> None:
    document = explain.document(EXPLANATION)
    assert document["first_cells"] == [
        {"tag": "01" * 16, "head": "02" * 64, "size": 1_280, "records_opened": 9, "records_kept": 4, "rollup": False}
    ]
    assert (document["records_opened"], document["records_kept"], document["records_distinct"]) == (9, 4, 3)
    assert document["answer"] == 2


def test_an_explanation_says_what_was_sent_twice(capsys: pytest.CaptureFixture[str]) -> None:
    explain._show(EXPLANATION, "session")
    assert "9 records, 4 of them for the answer, 3 distinct" in capsys.readouterr().out


def test_status_tells_of_the_manifest_what_is_worth_telling() -> None:
    calm = {"version": 1_200, "live_segments": 3}
    calm |= dict.fromkeys(("retired_segments", "unsettled_segments", "outgrown_cells"), 0)
    assert list(status._manifest_lines(calm | {"witnesses": 0, "witness_failures": 0})) == [
        "        3 segments, by version 1,200 of the manifest"
    ]
    troubled = calm | {"retired_segments": 2, "unsettled_segments": 1, "outgrown_cells": 4}
    assert list(status._manifest_lines(troubled | {"witnesses": 2, "witness_failures": 1})) == [
        "        3 segments, 2 retired, 1 unsettled, by version 1,200 of the manifest",
        "        4 cells outgrown: raise bytes_per_record of the data set",
        "head    kept by 2 witnesses; one could not be reached 1 time",
    ]


def test_a_sound_store_as_json() -> None:
    assert verify.document(Verification(tags=24, cells=3, findings=()))["sound"] is True


TABLE = pa.table(
    {
        "mac": ["aa:bb", None],
        "at": pa.array([EIGHT, EIGHT + timedelta(milliseconds=5)], pa.timestamp("ms", tz="UTC")),
        "lasted": pa.array([timedelta(seconds=45), timedelta(milliseconds=1500)], pa.duration("ms")),
        "vlan": [7, None],
    }
)


def _written(kind: Any, table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    file = io.BytesIO()
    assert kind.write(Records(iter([RecordPage(sink.getvalue().to_pybytes())])), file) == table.num_rows
    return file.getvalue()


def test_records_as_json_lines() -> None:
    first, second = (json.loads(line) for line in _written(JSON_LINES).splitlines())
    assert first == {"mac": "aa:bb", "at": "2024-10-01T08:00:00Z", "lasted": 45, "vlan": 7}
    assert second == {"mac": None, "at": "2024-10-01T08:00:00.005Z", "lasted": 1.5, "vlan": None}


def test_records_as_csv() -> None:
    read = pyarrow.csv.read_csv(
        io.BytesIO(_written(CSV)),
        convert_options=pyarrow.csv.ConvertOptions(column_types={"at": pa.string()}),
    )
    assert read["at"].to_pylist() == ["2024-10-01T08:00:00Z", "2024-10-01T08:00:00.005Z"]
    assert read["lasted"].to_pylist() == [45, 1.5]
    assert read["vlan"].to_pylist() == [7, None]


def test_records_as_arrow() -> None:
    assert pa.ipc.open_file(_written(ARROW)).read_all() == TABLE


@pytest.mark.parametrize("kind", [ARROW, CSV, JSON_LINES], ids=lambda kind: kind.suffix)
def test_no_record_is_no_error(kind: Any) -> None:
    _written(kind, TABLE.slice(0, 0))
    assert format_of(Path(f"records{kind.suffix}")) is kind


def test_a_name_that_asks_for_no_format_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="arrow"):
        format_of(Path("records.parquet"))
