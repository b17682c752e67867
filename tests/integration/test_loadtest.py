"""A short load test: every kind of user gets answers, no call fails, and the summary and the report give latencies."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_a_few_users_get_answers_without_an_error(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    size = ("--users", "8", "--seconds", "10", "--devices", "50", "--places", "8", "--days", "2")
    # The machine may be busy: what is tested is that it answers, not how fast.
    bounds = ("--most-p99", "60000", "--most-failed", "0")
    store = ("--storage", f"sqlite:///{tmp_path / 'cells.db'}", "--report", str(report))
    done = subprocess.run(
        [sys.executable, "-m", "loadtests", *size, *bounds, *store],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = re.findall(r"^(\w+) .*p99 [\d,]+ ms, 0\.0% of [\d,]+ failed$", done.stdout, re.MULTILINE)
    assert set(summary) == {"SecurityGuard", "Dashboard", "Analyst", "IngestStream"}, done.stdout
    assert "No knee up to 8 users" in report.read_text()
    assert "Traceback" not in done.stderr, done.stderr
