"""Measures Privacy Please beside the same job in plaintext, and writes what came out.

    python -m benchmarks [--scale 1M,10M] [--only NAME,NAME] [--rounds N] [--report FILE]

Starts a private MariaDB, and Kafka where it is needed. Without `--only` everything is measured, and the report is
written to `docs/reports/BENCHMARKS.md`; with it results only go to the screen, unless `--report` names a report in
which to replace what is measured anew.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import asking, far, growth, memory, report, storage, throughput
from benchmarks.results import Results
from benchmarks.sides import MARIADB_OPTIONS
from benchmarks.targets import HUNDRED_MILLION
from benchmarks.world import world
from tests.services.mariadb import MariaDB

REPORT = Path(__file__).parents[1] / "docs" / "reports" / "BENCHMARKS.md"

# Once a run, in the modules of these names, and once a scale. What needs Kafka or other libraries is imported late.
ONCE = {"bulk": "bulk_ingest", "stream": "stream_ingest", "latency": "latency", "sealing": "peers"}
BUILT = ("questions", "throughput", "growth", "storage", "memory")
EVERYTHING = {*ONCE, *BUILT}
_UNITS = {"": 1, "K": 1_000, "M": 1_000_000}


def main() -> None:
    """Measures and reports. What is measured is in the report at once, so that nothing is lost if the rest fails."""
    flags = _parser().parse_args()
    file = flags.report or (REPORT if flags.only == EVERYTHING else None)
    results = Results(report.load(file) if file else [], report.machine())
    with MariaDB(options=MARIADB_OPTIONS) as database:
        for _ in _measured(database, results, flags):
            if file:
                report.write(results, file)
    sys.stdout.write(f"\n{report.summary(results)}\n")


def _measured(database: MariaDB, results: Results, flags: argparse.Namespace) -> Iterator[None]:
    """Runs one benchmark after the other."""
    for name, module in ONCE.items():
        if name in flags.only:
            yield importlib.import_module(f"benchmarks.{module}").run(database, results, flags.rounds)
    for scale in flags.scale:
        if scale >= HUNDRED_MILLION:
            far.run(database, scale, results)
            yield
        elif set(BUILT) & flags.only:
            yield from _scaled(database, scale, results, flags)


def _scaled(database: MariaDB, scale: int, results: Results, flags: argparse.Namespace) -> Iterator[None]:
    with world(database, scale, results) as both:
        if "questions" in flags.only:
            yield from asking.run(both, results, flags.rounds)
        if "throughput" in flags.only:
            throughput.run(both, results, flags.rounds)
            yield
        if "growth" in flags.only and scale == max(flags.scale):
            growth.run(both, results, flags.rounds)
            yield
        if "storage" in flags.only:
            storage.run(both, results)
            yield
        if "memory" in flags.only:
            memory.run(both, results)
            yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure beside the same in plaintext.")
    parser.add_argument("--scale", type=_scales, default=[1_000_000, 10_000_000], help="sessions, as 1M,10M")
    parser.add_argument("--only", type=_names, default=EVERYTHING, help=", ".join(sorted(EVERYTHING)))
    parser.add_argument("--rounds", type=int, default=5, help="how often each thing is measured")
    parser.add_argument("--report", type=Path, help=f"where to write; {REPORT.name} if everything is measured")
    return parser


def _scales(text: str) -> list[int]:
    """Numbers of sessions, ascending.

    >>> _scales("10M,1M,500K")
    [500000, 1000000, 10000000]
    """
    return sorted(int(each.rstrip("KM")) * _UNITS[each.lstrip("0123456789")] for each in text.upper().split(","))


def _names(text: str) -> set[str]:
    names = set(text.split(","))
    if unknown := names - EVERYTHING:
        raise argparse.ArgumentTypeError(f"expected {', '.join(sorted(EVERYTHING))}; got {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
