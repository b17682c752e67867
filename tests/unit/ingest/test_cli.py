import gzip
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from privacyplease.ingest import cli, wifi

ARGUMENTS = ["--devices", "20", "--places", "5", "--days", "2", "--seed", "9", "--start", "2024-12-30"]


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(cli.simulate)
    result = CliRunner().invoke(app, [*ARGUMENTS, *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_simulate_writes_a_log_to_a_file_packed_or_not_and_to_standard_output(tmp_path: Path) -> None:
    plain, packed = tmp_path / "log.csv", tmp_path / "log.csv.gz"
    run("-o", str(plain))
    run("-o", str(packed))
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes() == run().stdout_bytes
    assert {str(day)[:10] for block in wifi.read(plain) for day in block.table["association_time"].to_pylist()} == {
        "2024-12-30",
        "2024-12-31",
    }


def test_simulate_gives_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gz", tmp_path / "other.gz"
    run("-o", str(one))
    run("-o", str(other))
    assert one.read_bytes() == other.read_bytes()
