"""Random and damaged requests to every rpc of both servers, and noise to both ports.

    python -m tests.soak.fuzz [NUMBER] [--connections N] [--only NAME] [--processes P] [--seed S]

Each process has servers of its own. Ends with 1 if one crashed, hung, failed inside, told of its inside, grew, or
answers wrongly afterwards.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.services.fuzzing import Fuzz, Outcome, targets


def main() -> int:
    """Fires, and prints what came of it."""
    flags = _parser().parse_args()
    print(f"seed {flags.seed}", flush=True)
    each = -(-flags.number // flags.processes), -(-flags.connections // flags.processes)
    seeds = [flags.seed + n for n in range(flags.processes)]
    with ProcessPoolExecutor(flags.processes, get_context("spawn")) as processes:
        fire = partial(_fire, calls=each[0], connections=each[1], only=flags.only)
        outcomes = list(processes.map(fire, seeds))
    statuses: Counter[tuple[str, str]] = sum((outcome.statuses for outcome in outcomes), Counter())
    for service in sorted({service for service, _ in statuses}):
        print(f"{service}: {_told({code: times for (name, code), times in statuses.items() if name == service})}")
    codes: Counter[str] = Counter()
    for (_, code), times in statuses.items():
        codes[code] += times
    print(f"all: {_told(codes)}")
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    print(f"{len(faults):,} faults", *faults[:50], sep="\n")
    return bool(faults)


def _fire(seed: int, calls: int, connections: int, only: Sequence[str]) -> Outcome:
    # In memory, for what is durable is not what is tested.
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        targets(Path(folder)) as at,
    ):
        outcome = Fuzz(at, seed, lambda line: print(f"{seed}: {line}", flush=True)).run(calls, connections, only)
    print(*(f"{seed}: {line}" for line in outcome.lines), sep="\n", flush=True)
    return outcome


def _told(codes: Mapping[str, int]) -> str:
    each = ", ".join(f"{code} {times:,}" for code, times in sorted(codes.items(), key=lambda item: -item[1]))
    return f"{sum(codes.values()):,} calls: {each}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Requests that nobody would send.")
    parser.add_argument("number", nargs="?", type=int, default=100_000, help="calls to each service")
    parser.add_argument("--connections", type=int, default=2_000, help="connections of noise to each port")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a service, as KeysService")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    return parser


if __name__ == "__main__":
    sys.exit(main())
