"""The benchmark command at a tiny scale: both sides give the same answers, and the report has the results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.services import mariadb
from tests.services.polling import eventually

_ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(
    not mariadb.installed() and not os.environ.get("CI"), reason="expected mariadbd, got none"
)


def test_both_sides_give_the_same_answers_and_the_report_has_the_results(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    flags = ["--scale", "3K", "--only", "questions,memory", "--rounds", "1", "--report", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *flags], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document, values = file.read_text(), json.loads(file.with_suffix(".json").read_text())
    sections = {section["name"]: section["rows"] for section in values}
    assert "## Questions to 3,000 sessions" in document
    assert len(sections["questions-3000"]) == 30
    assert all(row["encrypted"] > 0 and row["plaintext"] > 0 for row in sections["questions-3000"])
    assert sections["memory-3000"][0]["encrypted"] > 10


def test_a_run_that_is_terminated_ends_what_it_started() -> None:
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # of a short name: a socket's path has a limit
        command = [sys.executable, "-m", "benchmarks", "--scale", "3K", "--only", "questions", "--rounds", "1000000"]
        run = subprocess.Popen(command, cwd=_ROOT, env=os.environ | {"TMPDIR": folder}, stderr=subprocess.DEVNULL)
        try:
            assert eventually(lambda: any("plaintext_service" in each for each in _running_in(folder)), 60)
            assert any("mariadbd" in each for each in _running_in(folder))
            run.terminate()
            assert run.wait(60) == 128 + 15
            assert eventually(lambda: not _running_in(folder), 20), _running_in(folder)
        finally:
            run.kill()
            run.wait()


def _running_in(folder: str) -> list[str]:
    """The command lines that name the folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if folder in command:
            found.append(command)
    return found
