import gzip
import subprocess
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner, Result

from privacyplease.ingest import cli, wifi
from tests.services import command_line

ARGUMENTS = ["--devices", "20", "--places", "5", "--days", "2", "--seed", "9", "--start", "2024-12-30"]


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(cli.simulate)
    result = CliRunner().invoke(app, [*ARGUMENTS, *arguments])
    assert result.exit_code == 0, result.output
    return result


def test_simulate_writes_a_plain_or_gzipped_file_or_standard_output(tmp_path: Path) -> None:
    plain, gzipped = tmp_path / "log.csv", tmp_path / "log.csv.gz"
    run("-o", str(plain))
    run("-o", str(gzipped))
    assert gzip.decompress(gzipped.read_bytes()) == plain.read_bytes() == run().stdout_bytes
    assert {str(day)[:10] for block in wifi.read(plain) for day in block.table["association_time"].to_pylist()} == {
        "2024-12-30",
        "2024-12-31",
    }


def test_simulate_gives_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gz", tmp_path / "other.gz"
    run("-o", str(one))
    run("-o", str(other))
    assert one.read_bytes() == other.read_bytes()


def test_loading_the_commands_imports_neither_arrow_nor_kafka() -> None:
    code = "import sys, privacyplease.ingest.cli; print({'pyarrow', 'numpy', 'confluent_kafka'} & sys.modules.keys())"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_without_spark_its_command_says_how_to_install_it(tmp_path: Path) -> None:
    flags = ["--bootstrap", "kafka:9092", "--topic", "wifi", "--dataset", "wifi", "--checkpoint", str(tmp_path)]
    done = command_line.run(tmp_path, "--proxy", "proxy:50051", "--insecure", "ingest", "spark", *flags)
    assert done.returncode == 2
    assert "error: Spark is not installed" in done.stderr
    assert "pip install privacyplease-ingest[spark]" in done.stderr
