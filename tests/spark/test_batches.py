"""Batches that a program of the user's writes: records, raw logs, and what is refused before anything is stored."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from privacyplease.ingest import wifi
from tests.integration.known_answers import LARGE, ONE_DAY, questions, wrong_answers
from tests.services.plaintext_search import files_with
from tests.services.sessions import longest
from tests.services.spark_job import run_script
from tests.services.stack import Stack

DOCUMENT = Path(__file__).parents[2] / "docs" / "SPARK.md"

# Writes a DataFrame, and prints what Spark says if it refuses to. Its arguments: proxy, certificates, folder, options.
WRITE = """
import json, sys
from pyspark.sql import SparkSession, functions as F
from privacyplease.ingest.spark.failures import Failure

proxy, certificates, folder, options = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
rows = {rows}
try:
    write = rows.write.format("privacyplease").mode({mode!r}).options(proxy=proxy, certificates=certificates)
    write = write.options(**{{"dataset": "wifi", **json.loads(options)}})
    write.save()
    print("written")
except Exception as error:
    print(Failure.read(str(error)).cause)
"""
PARQUET = "spark.read.parquet(folder)"
UNIT = {"durationUnit": "ms"}
ENCRYPTED = {"spark__io__encryption__enabled": "true"}


class Batches:
    """Both servers, and a folder with ten days of sessions that no other test has."""

    def __init__(self, servers: Stack, folder: Path, day: datetime) -> None:
        self.servers = servers
        self.folder = folder
        self.day = day

    def table(self, number: int = 50, **columns: pa.Array) -> pa.Table:
        """Sessions as somebody keeps them: durations of Arrow's own type, which Spark reads as plain integers."""
        starts = [self.day + timedelta(minutes=7 * each) for each in range(number)]
        values = {
            "client_mac": pa.array([f"02:00:00:00:01:{each:02x}" for each in range(number)]),
            "ap_name": pa.array([f"Hall-{each % 5}" for each in range(number)]),
            "association_time": pa.array(starts, pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000 * each for each in range(number)], pa.duration("ms")),
            **columns,
        }
        return pa.table(values)

    def write(
        self, table: pa.Table, options: Mapping[str, str] = UNIT, *, rows: str = PARQUET, mode: str = "append"
    ) -> str:
        """Writes a table by way of Parquet, and returns what the program has printed."""
        shutil.rmtree(self.folder / "parquet", ignore_errors=True)
        (self.folder / "parquet").mkdir()
        pq.write_table(table, self.folder / "parquet" / "sessions.parquet")
        return self.run(WRITE.format(rows=rows, mode=mode), self.folder / "parquet", options)

    def run(self, script: str, source: Path, options: Mapping[str, str] = UNIT) -> str:
        """Runs a program, and returns the last line that it has printed."""
        arguments = self.servers.proxy, str(self.servers.certificates), str(source), json.dumps(dict(options))
        done = run_script(script, self.folder, *arguments, **ENCRYPTED)
        assert done.returncode == 0, done.stderr
        assert "02:00:00" not in done.stderr
        return done.stdout.splitlines()[-1]

    def stored(self) -> pa.Table:
        """The sessions of the ten days."""
        return self.servers.client.query("wifi", self.day, self.day + timedelta(days=10), purpose="test").to_arrow()


@pytest.fixture
def batches(servers: Stack, tmp_path: Path, days: Iterator[datetime]) -> Batches:
    return Batches(servers, tmp_path, next(days))


def test_durations_that_spark_reads_as_integers_need_their_unit_and_are_then_exact(batches: Batches) -> None:
    table = batches.table()
    said = batches.write(table, {})
    assert said == "expected the option durationUnit for 'session_duration', which is bigint: s, ms, us or ns"
    assert batches.stored().num_rows == 0
    assert batches.write(table) == "written"
    assert longest(batches.stored()) == longest(table)


def test_a_batch_that_is_written_twice_changes_no_answer(batches: Batches) -> None:
    table = batches.table(40)
    for _ in range(2):
        assert batches.write(table) == "written"
    assert longest(batches.stored()) == longest(table)
    assert batches.stored().num_rows == 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"durationunits": "ms"}, "got 'durationunits'"),
        ({"badRecords": "deadLetter", "deadLetter.bootstrap": "127.0.0.1:1"}, "expected the option deadLetter.topic"),
        ({"dataset": "parking"}, "expected dataset to be one of bikes, wifi; got 'parking'"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_stored(
    batches: Batches, change: dict[str, str], message: str
) -> None:
    assert message in batches.write(batches.table(), {"durationUnit": "ms", **change})
    assert batches.stored().num_rows == 0


def test_a_mode_or_a_column_that_would_lose_something_is_refused(batches: Batches) -> None:
    said = batches.write(batches.table(), mode="overwrite")
    assert said == 'expected the mode "append", got one that overwrites: records are only ever added'
    said = batches.write(batches.table(), rows=f"{PARQUET}.withColumn('floor', F.lit(3))")
    assert said == "expected columns of 'wifi', got 'floor': rename it, or leave it out"
    assert batches.stored().num_rows == 0


def test_a_bad_record_fails_the_batch_and_is_named_without_its_value(batches: Batches) -> None:
    devices = [f"02:00:00:00:01:{each:02x}" for each in range(49)]
    said = batches.write(batches.table(client_mac=pa.array([*devices, "Gandalf's phone"])))
    assert "client_mac: expected a MAC address of 12 hexadecimal digits" in said
    assert "Gandalf" not in said


def test_raw_logs_are_read_as_from_files(batches: Batches) -> None:
    questions()
    logs = batches.folder / "logs"
    logs.mkdir()
    for log in (LARGE, ONE_DAY):
        shutil.copy(log, logs)
    rows = 'spark.read.format("binaryFile").load(folder)'
    assert batches.run(WRITE.format(rows=rows, mode="append"), logs) == "written"
    assert wrong_answers(batches.servers.client) == []


def test_the_example_of_the_documents_writes_months_whose_counts_equal_those_of_the_plaintext(
    batches: Batches,
) -> None:
    (example,) = re.findall(r"```python\n(# backfill\.py.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    questions()
    log = pa.concat_tables(block.table for block in wifi.read(LARGE))
    months = batches.folder / "months"
    lake = pa.table(
        {
            "mac": pc.replace_substring(log["client_mac"], ":", "-"),
            "ap": log["ap_name"],
            "joined": log["association_time"],
            "millis": log["session_duration"].cast(pa.int64()),
            "month": pc.strftime(log["association_time"], "%Y-%m"),
        }
    )
    pq.write_to_dataset(lake, str(months), partition_cols=["month"])
    arguments = str(months), batches.servers.proxy, str(batches.servers.certificates)
    done = run_script(example, batches.folder, *arguments)
    assert done.returncode == 0, done.stderr
    counts = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 3]
    devices: dict[str, set[str]] = {}
    for place, mac in zip(log["ap_name"].to_pylist(), log["client_mac"].to_pylist(), strict=True):
        devices.setdefault(place, set()).add(mac)
    assert len(devices) == 75
    expected = [[place, str(len(devices[place])), str(len(devices[place])), ""] for place in sorted(devices)]
    assert counts == expected


# Shuffles, keeps a copy on disk, and copies what Spark has written before Spark removes it.
SPILL = """
import shutil, sys
from pathlib import Path
from pyspark import StorageLevel
from pyspark.sql import SparkSession

proxy, certificates, folder, options = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").getOrCreate()
spark.sparkContext.setLogLevel("OFF")
rows = spark.read.parquet(folder).repartition(4, "client_mac").persist(StorageLevel.DISK_ONLY)
rows.count()
local = Path(spark.conf.get("spark.local.dir"))
try:
    write = rows.write.format("privacyplease").mode("append").options(proxy=proxy, certificates=certificates)
    write.options(dataset="wifi", durationUnit="ms").save()
    print("written")
except Exception as error:
    print(str(error).count("spark.io.encryption.enabled=true") and "refused")
shutil.copytree(local, local.with_name("copy"))
print("end")
"""
LEGIBLE = {
    "spark__shuffle__compress": "false",
    "spark__shuffle__spill__compress": "false",
    "spark__rdd__compress": "false",
}


def test_what_spark_spills_is_encrypted_or_its_records_are_refused(batches: Batches) -> None:
    pq.write_table(batches.table(), batches.folder / "sessions.parquet")
    words = [f"Hall-{number}" for number in range(5)]
    results = []
    for encryption in ("true", "false"):
        settings = {**LEGIBLE, "spark__io__encryption__enabled": encryption}
        shutil.rmtree(batches.folder / "copy", ignore_errors=True)
        arguments = batches.servers.proxy, str(batches.servers.certificates), str(batches.folder / "sessions.parquet")
        done = run_script(SPILL, batches.folder, *arguments, "{}", **settings)
        assert done.returncode == 0, done.stderr
        results.append(done.stdout.split()[-2])
        written = [file for file in (batches.folder / "copy").rglob("*") if file.is_file()]
        assert any("shuffle_" in file.name for file in written)
        assert any(file.name.startswith("rdd_") for file in written)
        legible = files_with(batches.folder / "copy", words)
        assert bool(legible) is (encryption == "false")  # the control: the search finds what is not encrypted
        assert files_with(batches.folder / "events", words) == []
        assert files_with(batches.folder / "events", ["session_duration"])
    assert results == ["written", "refused"]
    assert batches.stored().num_rows == 50
