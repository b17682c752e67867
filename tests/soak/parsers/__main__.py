"""Bytes from outside, guided by coverage towards what the parsers have not yet seen.

    python -m tests.soak.parsers [SECONDS] [--only NAME] [--processes P] [--seed S]

The targets share the time. Ends with 1 if an input led to an error that is not documented, took memory out of
proportion or did not end; prints it with the traceback.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.soak.parsers.targets import TARGETS

# No input takes a tenth of this, on a machine with nothing else to do.
SECONDS_EACH = 20
# The whole process, interpreter and libraries included.
MOST_PROCESS_MIB = 2_048
LEAST_SECONDS = 1


class Outcome(NamedTuple):
    """What came of a target: how many inputs it was given, and the one that broke its contract, if any."""

    name: str
    inputs: int
    found: bytes | None
    report: list[str]


def main() -> int:
    """Fuzzes the targets, and prints what came of it."""
    flags = _parser().parse_args()
    names = flags.only or list(TARGETS)
    each = max(LEAST_SECONDS, flags.seconds * flags.processes // len(names))
    print(f"seed {flags.seed}, {each} s each", flush=True)
    with ThreadPoolExecutor(flags.processes) as pool:
        outcomes = [pool.submit(fuzz, name, each, flags.seed) for name in names]
        faults = [_told(outcome.result()) for outcome in outcomes]
    print(f"{sum(faults):,} faults")
    return any(faults)


def fuzz(name: str, seconds: int, seed: int) -> Outcome:
    """Fuzzes one target in a process of its own."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        limits = (f"-max_total_time={seconds}", f"-timeout={SECONDS_EACH}", f"-rss_limit_mb={MOST_PROCESS_MIB}")
        command = [sys.executable, "-m", f"{__package__}.harness", name, folder, *limits]
        process = subprocess.run(
            [*command, f"-seed={seed}", "-print_final_stats=1", "-verbosity=1"],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        found = next((path.read_bytes() for path in sorted(Path(folder).glob("found-*"))), None)
    lines = [line for line in process.stdout.splitlines() if not line.startswith("INFO: Instrumenting")]
    if process.returncode and found is None:  # it did not even start
        found = b""
    return Outcome(name, _inputs(lines), found, [*lines, f"exit status {process.returncode}"])


def _inputs(report: Sequence[str]) -> int:
    counted = [line for line in report if line.startswith("stat::number_of_executed_units:")]
    return int(counted[-1].split()[-1]) if counted else 0


def _told(outcome: Outcome) -> bool:
    """Prints what came of a target; returns whether its contract was broken."""
    print(f"{outcome.inputs:>9,}  {outcome.name}", flush=True)
    if outcome.found is None:
        return False
    begin = next((n for n, line in enumerate(outcome.report) if "Traceback" in line), -40)
    print(*outcome.report[begin:][:60], f"input: {outcome.found.hex()}", sep="\n", flush=True)
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Coverage-guided fuzzing of everything that reads bytes from outside.")
    parser.add_argument("seconds", nargs="?", type=int, default=600, help="for all targets together")
    parser.add_argument("--only", action="append", default=[], choices=TARGETS, metavar="NAME", help="a target")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1 << 31))
    return parser


if __name__ == "__main__":
    sys.exit(main())
