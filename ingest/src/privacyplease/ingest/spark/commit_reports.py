"""Takes the counts of committed batches from where Spark calls `commit` to the process that started the query.

Spark calls `commit` in a Python process of its own on the driver's machine. That process inherits the environment of
the one that started the query, which may name a file there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from privacyplease.ingest.spark.task import TaskCounts

__all__ = ["REPORT_FILE", "report", "reported"]

REPORT_FILE = "PRIVACYPLEASE_SPARK_REPORT"
"""The environment variable with the path of the file."""


def report(counts: TaskCounts, batch: int | None = None) -> None:
    """Reports a batch that was written.

    Adds it to the file that the environment names, or else writes a line to standard error. Spark commits one batch
    after another.
    """
    if name := os.environ.get(REPORT_FILE):
        file, before = Path(name), reported(Path(name))
        new = file.with_suffix(".new")
        new.write_text(f"{before.stored + counts.stored} {before.rejected + counts.rejected}", encoding="ascii")
        new.replace(file)
    else:
        which = "batch" if batch is None else f"batch {batch}"
        sys.stderr.write(f"privacyplease: {which}: {counts.stored:,} stored, {counts.rejected:,} dead letters\n")


def reported(file: Path) -> TaskCounts:
    """The sum of what was reported to a file."""
    if not file.exists():
        return TaskCounts(0, 0)
    stored, rejected = map(int, file.read_text(encoding="ascii").split())
    return TaskCounts(stored, rejected)
