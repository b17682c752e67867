"""The report: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.results import BenchmarkResults, Bound, Measurement, Section, rounded, shown
from benchmarks.targets import ALL, PerformanceTarget

_TITLE = "# Benchmarks"
_HOW = """\
Written by `make bench`; do not edit. The sessions are those of a simulated campus, with all 15 columns of a log
(`benchmarks/sessions.py`). *Plaintext* is the same sessions, with all columns, in one InnoDB table with the indexes
`(client_mac, association_time, end_time)` and `(ap_name, association_time, end_time)`, behind a gRPC service with the
same contract (`benchmarks/plaintext_service.py`, PyMySQL). The same client asks both over mutual TLS, in turn, in one
run. Figures are medians over the rounds and over the questions of a row, which are about neighbouring days. Once a
question has been asked, its data is in memory on both sides: opened cells of compacted time in the proxy (256 MiB at
most), pages in MariaDB. Both sides use one MariaDB process, with durable defaults and a buffer pool of 4 GiB.
Everything runs on one machine.
"""


def load(file: Path) -> list[Section]:
    """The sections of an earlier report; none if there is no report."""
    values = file.with_suffix(".json")
    return [_section(entry) for entry in json.loads(values.read_text())] if values.exists() else []


def write(results: BenchmarkResults, file: Path) -> None:
    """Writes the report, and the same results as JSON next to it."""
    file.write_text(_document(results), encoding="utf-8")
    sections = [asdict(section) for section in results.sections]
    file.with_suffix(".json").write_text(json.dumps(sections, indent=1) + "\n")


def machine() -> dict[str, str]:
    """The date, the commit, and the machine that measures."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "python": platform.python_version(),
    }


def _section(entry: dict[str, Any]) -> Section:
    rows = [Measurement(**{**row, "bounds": tuple(map(_bound, row["bounds"]))}) for row in entry["rows"]]
    return Section(**{**entry, "rows": rows, "sides": tuple(entry["sides"])})


def _bound(entry: dict[str, Any]) -> Bound:
    return Bound(PerformanceTarget(**entry["target"]), entry["value"])


def _document(results: BenchmarkResults) -> str:
    parts = [_TITLE, _HOW, "## Targets", summary(results)]
    for section in results.sections:
        run = ", ".join(f"{name} {value}" for name, value in section.run.items())
        parts += [f"## {section.title}", f"{section.text}\n\n*{run}*", _table(section)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def summary(results: BenchmarkResults) -> str:
    """Each target with the worst value that was measured."""
    rows = [_verdict(target, list(results.bounds(target))) for target in ALL]
    return _lines(["| target | bound | worst measured | |", "|---|---|---|---|", *rows])


def _verdict(target: PerformanceTarget, bounds: list[Bound]) -> str:
    if not bounds:
        return f"| {target.what} | {target} | not measured | |"
    values = [bound.value for bound in bounds]
    worst = min(values) if target.at_least else max(values)
    met = sum(bound.met for bound in bounds)
    verdict = "met" if met == len(bounds) else f"**not met** ({met} of {len(bounds)} values meet it)"
    if target.cost and met < len(bounds):
        verdict += f": {target.cost}"
    return f"| {target.what} | {target} | {rounded(worst)}{target.unit} | {verdict} |"


def _table(section: Section) -> str:
    ours, theirs = section.sides
    head = [f"| | {ours} | {theirs} | ratio | target | |", "|---|---|---|---|---|---|"]
    return _lines([*head, *map(_row, section.rows)])


def _row(row: Measurement) -> str:
    theirs = "" if row.plaintext is None else shown(row.plaintext, row.unit)
    ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
    targets = ", ".join(str(bound.target) for bound in row.bounds)
    verdicts = ", ".join("met" if bound.met else "**not met**" for bound in row.bounds)
    return f"| {row.what} | {shown(row.encrypted, row.unit)} | {theirs} | {ratio} | {targets} | {verdicts} |"


def _commit() -> str:
    described = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)
