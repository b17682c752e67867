from __future__ import annotations

from pathlib import Path

import pytest

from privacyplease.ingest.spark.commit_reports import REPORT_FILE, report, reported
from privacyplease.ingest.spark.task import TaskCounts


def test_reports_add_up_in_the_file_that_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "report"
    monkeypatch.setenv(REPORT_FILE, str(file))
    assert reported(file) == (0, 0)
    report(TaskCounts(10, 1), batch=0)
    report(TaskCounts(5, 0), batch=1)
    assert reported(file) == (15, 1)
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_file_a_batch_is_reported_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(REPORT_FILE, raising=False)
    report(TaskCounts(12_345, 1))
    report(TaskCounts(1, 0), batch=7)
    assert capsys.readouterr().err.splitlines() == [
        "privacyplease: batch: 12,345 stored, 1 dead letters",
        "privacyplease: batch 7: 1 stored, 0 dead letters",
    ]
