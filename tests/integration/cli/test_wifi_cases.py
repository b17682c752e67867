"""Logs that real users met, from `../shared/cases`, through the command as a user gives it."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.services import cases

pytestmark = [pytest.mark.usefixtures("up"), cases.needed]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Copies a case's files to the working folder, and gives their names."""

    def copied(name: str) -> list[str]:
        for file in (cases.CASES / "wifi" / name).iterdir():
            shutil.copy(file, tmp_path)
        monkeypatch.chdir(tmp_path)
        return sorted(file.name for file in tmp_path.iterdir() if ".csv" in file.name)

    return copied


@pytest.fixture
def ingest(run: Any) -> Any:
    """Ingests logs, and gives what --json prints, with the exit code and what else was printed."""

    def ingested(*arguments: str, code: int = 0, **options: Any) -> dict[str, Any]:
        result = run("ingest", "wifi", "--json", *arguments, **options)
        assert result.returncode == code, result.stderr
        return {**json.loads(result.stdout), "stderr": result.stderr}

    return ingested


def _rejects(file: str) -> list[dict[str, str]]:
    with Path(f"{file}.rejects.csv").open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.mark.parametrize(
    ("name", "accepted", "rejected"),
    [
        ("01-cr-only", 8, 0),
        ("02-utf16", 5, 0),
        ("05-mac-notations", 6, 6),
        ("30-null-macs", 1, 6),
        ("33-preamble", 2, 0),
        ("38-two-mac-columns", 4, 0),
    ],
)
def test_a_log_is_read_or_set_aside_line_by_line(
    case: Any, ingest: Any, name: str, accepted: int, rejected: int
) -> None:
    summary = ingest(*case(name))
    assert (summary["accepted"], summary["rejected"]) == (accepted, rejected)
    assert "02:aa" not in summary["stderr"]


def test_an_ambiguous_zone_is_settled_by_the_user(case: Any, ingest: Any, run: Any) -> None:
    [file] = case("07-java-wit")
    refused = ingest(file, code=1)
    assert (refused["accepted"], refused["rejected"]) == (0, 1)
    assert "Asia/Jakarta" in _rejects(file)[0]["reason"]
    assert ingest(file, "--timezone", "Asia/Jakarta")["accepted"] == 1
    hour = ["--from", "2014-03-04T03:00Z", "--to", "2014-03-04T03:01Z"]
    assert json.loads(run("count", *hour, "--place", "ap-jkt", "--json").stdout) == {"distinct_devices": 1}


@pytest.mark.parametrize("zone", [[], ["--timezone", "UTC"]])
def test_a_clock_of_twelve_hours_is_named_as_such(case: Any, ingest: Any, zone: list[str]) -> None:
    [file] = case("16-am-pm")
    assert ingest(file, *zone, code=1)["rejected"] == 7
    assert {row["reason"].split(":")[0] for row in _rejects(file)} == {
        "expected a 24-hour clock, got one of 12 hours (AM or PM)"
    }


def test_nul_bytes_are_no_part_of_a_name(case: Any, ingest: Any) -> None:
    summary = ingest(*case("23-nul-bytes"))
    assert (summary["accepted"], summary["rejected"]) == (2, 3)


def test_a_stray_quote_makes_no_other_place(case: Any, ingest: Any, run: Any) -> None:
    summary = ingest(*case("31-quoting"))
    assert summary["accepted"] + summary["rejected"] == 7
    records = run("query", "wifi", "--from", "2024-01-31", "--to", "2024-02-01", "--purpose", "test", "--json").stdout
    stored = [json.loads(line) for line in records.splitlines()]
    assert {record["ap_name"] for record in stored} == {"ap-31"}
    assert len(stored) == summary["accepted"] >= 3


def test_a_file_that_is_no_log_is_named_and_does_not_end_the_others(case: Any, ingest: Any) -> None:
    case("34-multi-files")
    summary = ingest("good.csv", "bad.csv", "empty.csv", "header-only.csv", "good2.csv", code=3)
    assert {file["file"]: file["accepted"] for file in summary["files"]} == {
        "good.csv": 1, "bad.csv": 0, "empty.csv": 0, "header-only.csv": 0, "good2.csv": 1,
    }  # fmt: skip
    assert "bad.csv: expected a session log, got a page or XML" in summary["stderr"]
    assert "2 records stored in all" in summary["stderr"]


def test_a_broken_gzip_file_is_named_with_what_is_stored_of_it(case: Any, ingest: Any) -> None:
    case("35-gz")
    assert ingest("two-members.csv.gz")["rejected"] == 0
    garbage = ingest("trailing-garbage.csv.gz")
    assert garbage["accepted"] > 0
    assert "trailing-garbage.csv.gz: what follows the compressed data is not gzip" in garbage["stderr"]
    for file in ("truncated.csv.gz", "bit-flip.csv.gz"):
        broken = ingest(file, code=3)
        assert f"{file}: cannot read the stream" in broken["stderr"]
        assert f"{broken['accepted']:,} records of it stored" in broken["stderr"].replace("\u202f", ",")


def test_half_a_line_of_a_growing_file_is_never_a_record(case: Any, ingest: Any, run: Any) -> None:
    case("36-growing-file")
    assert (ingest("cut.csv")["rejected"], ingest("full.csv")["rejected"]) == (1, 0)
    day = ["--from", "2024-02-06", "--to", "2024-02-07"]
    places = json.loads(run("places", *day, "--json").stdout)
    assert {place["place"]: place["distinct_devices"] for place in places["places"]} == {"ap-12": 1, "ap-127": 1}


def test_rejects_are_raw_so_that_a_mended_file_can_be_read_again(case: Any, ingest: Any) -> None:
    case("39-mend-rejects")
    assert ingest("input.csv")["accepted"] == 2
    header = Path("input.csv").read_text().splitlines()[0]
    [row] = _rejects("input.csv")
    assert row["record"] in Path("input.csv").read_text().splitlines()
    Path("mended.csv").write_text(f"{header}\n{row['record'].replace('yesterday', '2024-02-11T10:00:00Z')}\n")
    assert ingest("mended.csv")["accepted"] == 1


def test_what_the_proxy_rejects_is_kept_as_it_was(ingest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = 'ap-39,anna,no address,2024-02-11T10:00:00.750+01:00,"600"'
    Path("log.csv").write_text(f"AP Name,User Name,Client MAC Address,Association Time,Session Duration\n{line}\n")
    assert ingest("log.csv", code=1)["rejected"] == 1
    assert [row["record"] for row in _rejects("log.csv")] == [line]


def test_two_runs_from_standard_input_do_not_collide_on_a_reject_file(
    ingest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = "Client MAC Address,AP Name,Association Time,Session Duration\nbad,ap-1,never,1\n"
    assert ingest("-", text=log, code=1)["files"][0]["rejects"] == "rejects.csv"
    assert ingest("-", text=log, code=1)["files"][0]["rejects"] == "rejects-2.csv"
