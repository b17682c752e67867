"""The report: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks.results import Bound, Results, Row, Section, shown
from benchmarks.targets import ALL, Target

_TITLE = "# Benchmarks"
_HOW = """\
Written by `make bench`; do not edit. Sessions are those of a simulated campus, in all 15 columns of a log
(`benchmarks/sessions.py`). Plaintext is the same sessions, with all columns, in one InnoDB table with the indexes
`(client_mac, association_time, end_time)` and `(ap_name, association_time, end_time)`, behind a gRPC service of the
same contract (`benchmarks/twin.py`, PyMySQL). The same client asks both over mutual TLS, in turn, in one run; figures
are medians. MariaDB is one process for both, with durable defaults and a buffer pool of 4 GiB. All of it shares one
machine.
"""


def write(results: Results, file: Path) -> None:
    """Writes the report, and the same as JSON beside it."""
    about = machine()
    file.write_text(_document(results, about), encoding="utf-8")
    sections = [asdict(section) for section in results.sections]
    file.with_suffix(".json").write_text(json.dumps({**about, "sections": sections}, indent=1) + "\n")


def _document(results: Results, machine: dict[str, str]) -> str:
    parts = [_TITLE, _HOW, _lines(f"| {name} | {value} |" for name, value in _headed("run", "", machine))]
    parts += ["## Targets", summary(results)]
    parts += [part for section in results.sections for part in (f"## {section.title}", section.text, _table(section))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def summary(results: Results) -> str:
    """Each target with what was measured at its worst."""
    rows = [_verdict(target, [bound for _, _, bound in results.bounds(target)]) for target in ALL]
    return _lines(["| target | bound | worst measured | |", "|---|---|---|---|", *rows])


def _verdict(target: Target, bounds: list[Bound]) -> str:
    if not bounds:
        return f"| {target.what} | {target} | not measured | |"
    values = [bound.value for bound in bounds]
    worst = min(values) if target.at_least else max(values)
    kept = sum(bound.met for bound in bounds)
    verdict = "met" if kept == len(bounds) else f"**not met** ({kept} of {len(bounds)} are)"
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


def machine() -> dict[str, str]:
    """Where and when something is measured."""
    memory = psutil.virtual_memory().total / 2**30
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "machine": f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, {platform.system()}",
        "python": platform.python_version(),
    }


def _commit() -> str:
    described = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(described, capture_output=True, text=True, check=True).stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _headed(first: str, second: str, rows: dict[str, str]) -> Iterator[tuple[str, str]]:
    yield first, second
    yield "---", "---"
    yield from rows.items()


def _lines(lines: Iterator[str] | list[str]) -> str:
    return "\n".join(lines)
