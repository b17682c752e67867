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

from benchmarks.results import Bound, Results, Row, Section, shown
from benchmarks.targets import ALL, Target

_TITLE = "# Benchmarks"
_HOW = """\
Written by `make bench`; do not edit. Sessions are those of a simulated campus, in all 15 columns of a log
(`benchmarks/sessions.py`). Plaintext is the same sessions, with all columns, in one InnoDB table with the indexes
`(client_mac, association_time, end_time)` and `(ap_name, association_time, end_time)`, behind a gRPC service of the
same contract (`benchmarks/twin.py`, PyMySQL). The same client asks both over mutual TLS, in turn, in one run; figures
are medians of rounds, and of the questions of a row, which are about neighbouring days. After the first time, what was
asked for lies in memory on both sides: opened cells of compacted time in the proxy (256 MiB at most), pages in MariaDB.
MariaDB is one process for both, with durable defaults and a buffer pool of 4 GiB. All of it shares one machine.
"""


def load(file: Path) -> list[Section]:
    """The sections of a report that was written before; none if there is none."""
    values = file.with_suffix(".json")
    return [_section(entry) for entry in json.loads(values.read_text())] if values.exists() else []


def write(results: Results, file: Path) -> None:
    """Writes the report, and the same as JSON beside it."""
    file.write_text(_document(results), encoding="utf-8")
    sections = [asdict(section) for section in results.sections]
    file.with_suffix(".json").write_text(json.dumps(sections, indent=1) + "\n")


def machine() -> dict[str, str]:
    """When and where something is measured, and at which commit."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
        "python": platform.python_version(),
    }


def _section(entry: dict[str, Any]) -> Section:
    rows = [Row(**{**row, "bounds": tuple(map(_bound, row["bounds"]))}) for row in entry["rows"]]
    return Section(**{**entry, "rows": rows, "sides": tuple(entry["sides"])})


def _bound(entry: dict[str, Any]) -> Bound:
    return Bound(Target(**entry["target"]), entry["value"])


def _document(results: Results) -> str:
    parts = [_TITLE, _HOW, "## Targets", summary(results)]
    for section in results.sections:
        run = ", ".join(f"{name} {value}" for name, value in section.run.items())
        parts += [f"## {section.title}", f"{section.text}\n\n*{run}*", _table(section)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def summary(results: Results) -> str:
    """Each target with what was measured at its worst."""
    rows = [_verdict(target, list(results.bounds(target))) for target in ALL]
    return _lines(["| target | bound | worst measured | |", "|---|---|---|---|", *rows])


def _verdict(target: Target, bounds: list[Bound]) -> str:
    if not bounds:
        return f"| {target.what} | {target} | not measured | |"
    values = [bound.value for bound in bounds]
    worst = min(values) if target.at_least else max(values)
    kept = sum(bound.met for bound in bounds)
    verdict = "met" if kept == len(bounds) else f"**not met** ({kept} of {len(bounds)} are)"
    if target.cost and kept < len(bounds):
        verdict += f": {target.cost}"
    return f"| {target.what} | {target} | {worst:.3g}{target.unit} | {verdict} |"


def _table(section: Section) -> str:
    ours, theirs = section.sides
    head = [f"| | {ours} | {theirs} | ratio | target | |", "|---|---|---|---|---|---|"]
    return _lines([*head, *map(_row, section.rows)])


def _row(row: Row) -> str:
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
