"""The benchmark command at a tiny scale: both sides give the same answers, and the report has the results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import mariadb

_ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(not mariadb.installed() and not os.environ.get("CI"), reason="expected mariadbd, got none")
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
