"""The file formats for whole records."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest
import typer

from privacyplease.cli.output.record_formats import ARROW, CSV, JSON_LINES, format_of
from privacyplease.client import Records
from privacyplease.client.records import RecordPage

EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
TABLE = pa.table(
    {
        "mac": ["aa:bb", None],
        "at": pa.array([EIGHT, EIGHT + timedelta(milliseconds=5)], pa.timestamp("ms", tz="UTC")),
        "lasted": pa.array([timedelta(seconds=45), timedelta(milliseconds=1500)], pa.duration("ms")),
        "vlan": [7, None],
    }
)


def _written(record_format: Any, table: pa.Table = TABLE) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    file = io.BytesIO()
    assert record_format.write(Records(iter([RecordPage(sink.getvalue().to_pybytes())])), file) == table.num_rows
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


def test_text_in_csv_is_no_formula_and_numbers_stay_numbers() -> None:
    texts = pa.array(["=1+1", "@SUM(A1)", "-1", None])
    table = pa.table(
        {
            "name": texts,
            "site": texts.dictionary_encode(),
            "signal": pa.array([-65, -70, None, 0]),
            "noise": pa.array([-0.5, None, 0.0, 1.0]),
            "lasted": pa.array([timedelta(seconds=-1), None, None, None], pa.duration("ms")),
        }
    )
    rows = list(csv.DictReader(io.StringIO(_written(CSV, table).decode())))
    assert [row["name"] for row in rows] == [row["site"] for row in rows] == ["'=1+1", "'@SUM(A1)", "'-1", ""]
    assert [row["signal"] for row in rows] == ["-65", "-70", "", "0"]
    assert [row["noise"] for row in rows] == ["-0.5", "", "0", "1"]
    assert rows[0]["lasted"] == "-1"
    assert [json.loads(line)["name"] for line in _written(JSON_LINES, table).splitlines()] == texts.to_pylist()


def test_records_as_arrow() -> None:
    assert pa.ipc.open_file(_written(ARROW)).read_all() == TABLE


@pytest.mark.parametrize("record_format", [ARROW, CSV, JSON_LINES], ids=lambda record_format: record_format.suffix)
def test_no_records_are_an_empty_file(record_format: Any) -> None:
    _written(record_format, TABLE.slice(0, 0))
    assert format_of(Path(f"records{record_format.suffix}")) is record_format


def test_a_file_name_without_a_known_suffix_is_rejected() -> None:
    with pytest.raises(typer.BadParameter, match="arrow"):
        format_of(Path("records.parquet"))
