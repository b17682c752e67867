"""Compares Privacy Please with the same job in plaintext, and writes a report.

    python -m benchmarks [--scale 1M,10M] [--only NAME,NAME] [--rounds N] [--report FILE]

Starts a private MariaDB, and Kafka where it is needed. Without `--only` everything is measured and the report is
written to `docs/reports/BENCHMARKS.md`. With `--only` the results are only printed, unless `--report` names a report,
whose sections are then replaced by those measured in this run.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from benchmarks import footprint, growth, hundred_million, question_latency, report, throughput
from benchmarks.results import BenchmarkResults
from benchmarks.system_pair import filled_pair
from benchmarks.systems import MARIADB_OPTIONS
from benchmarks.targets import HUNDRED_MILLION
from tests.services.mariadb import MariaDB

REPORT = Path(__file__).parents[1] / "docs" / "reports" / "BENCHMARKS.md"

# Benchmarks that run once, with their modules, which are imported late because some need Kafka or other libraries.
ONCE = {
    "bulk": "bulk_ingest",
    "stream": "stream_ingest",
    "latency": "event_latency",
    "spark": "spark_stream",
    "sealing": "other_libraries",
}
# Benchmarks that run at each scale.
PER_SCALE = ("questions", "throughput", "growth", "storage", "memory")
ALL_BENCHMARKS = {*ONCE, *PER_SCALE}
_UNITS = {"": 1, "K": 1_000, "M": 1_000_000}


def main() -> None:
    """Measures and reports. The report is written after each benchmark, so a later failure loses no result."""
    flags = _parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    file = flags.report or (REPORT if flags.only == ALL_BENCHMARKS else None)
    results = BenchmarkResults(report.load(file) if file else [], report.machine())
    with MariaDB(options=MARIADB_OPTIONS) as database:
        for _ in _measure(database, results, flags):
            if file:
                report.write(results, file)
    sys.stdout.write(f"\n{report.summary(results)}\n")


def _end(number: int, _frame: FrameType | None) -> None:
    """Ends the run by an exception, so that the processes that it started are ended too, undisturbed."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def _measure(database: MariaDB, results: BenchmarkResults, flags: argparse.Namespace) -> Iterator[None]:
    """Runs the benchmarks; yields after each."""
    for name, module in ONCE.items():
        if name in flags.only:
            importlib.import_module(f"benchmarks.{module}").run(database, results, flags.rounds)
            yield
    for scale in flags.scale:
        if scale >= HUNDRED_MILLION:
            hundred_million.run(database, scale, results)
            yield
        elif set(PER_SCALE) & flags.only:
            yield from _measure_scale(database, scale, results, flags)


def _measure_scale(
    database: MariaDB, scale: int, results: BenchmarkResults, flags: argparse.Namespace
) -> Iterator[None]:
    with filled_pair(database, scale, results) as pair:
        if "questions" in flags.only:
            yield from question_latency.run(pair, results, flags.rounds)
        if "throughput" in flags.only:
            throughput.run(pair, results, flags.rounds)
            yield
        if "growth" in flags.only and scale == max(flags.scale):
            growth.run(pair, results, flags.rounds)
            yield
        if "storage" in flags.only:
            footprint.measure_storage(pair, results)
            yield
        if "memory" in flags.only:
            footprint.measure_memory(pair, results)
            yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare Privacy Please with the same job in plaintext."
    )
    parser.add_argument("--scale", type=_scales, default=[1_000_000, 10_000_000], help="numbers of sessions, as 1M,10M")
    parser.add_argument("--only", type=_names, default=ALL_BENCHMARKS, help=", ".join(sorted(ALL_BENCHMARKS)))
    parser.add_argument("--rounds", type=int, default=5, help="how often to repeat each measurement")
    parser.add_argument("--report", type=Path, help=f"report to write; docs/{REPORT.name} if everything is measured")
    return parser


def _scales(text: str) -> list[int]:
    """Numbers of sessions, ascending.

    >>> _scales("10M,1M,500K")
    [500000, 1000000, 10000000]
    """
    return sorted(int(scale.rstrip("KM")) * _UNITS[scale.lstrip("0123456789")] for scale in text.upper().split(","))


def _names(text: str) -> set[str]:
    names = set(text.split(","))
    if unknown := names - ALL_BENCHMARKS:
        known = ", ".join(sorted(ALL_BENCHMARKS))
        raise argparse.ArgumentTypeError(f"expected {known}; got {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
