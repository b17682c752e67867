"""Random and damaged requests to every rpc of both servers, and noise to both ports.

    python -m tests.soak.fuzz [NUMBER] [--connections N] [--seed S]

Ends with 1 if a server crashed, hung, failed inside, told of its inside, grew, or answers wrongly afterwards.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.services.fuzzing import Fuzz, targets


def main() -> int:
    """Fires, and prints what came of it."""
    flags = _parser().parse_args()
    print(f"seed {flags.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, targets(Path(folder)) as at:
        outcome = Fuzz(at, flags.seed, lambda line: print(line, flush=True)).run(flags.number, flags.connections)
    print(*outcome.lines, sep="\n")
    total = sum(outcome.statuses.values())
    codes: Counter[str] = Counter()
    for (_, status), times in outcome.statuses.items():
        codes[status] += times
    print(f"{total:,} calls: {', '.join(f'{code} {times:,}' for code, times in codes.most_common())}")
    print(f"{len(outcome.faults):,} faults")
    print(*outcome.faults[:50], sep="\n")
    return bool(outcome.faults)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Requests that nobody would send.")
    parser.add_argument("number", nargs="?", type=int, default=100_000, help="calls to each service")
    parser.add_argument("--connections", type=int, default=2_000, help="connections of noise to each port")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    return parser


if __name__ == "__main__":
    sys.exit(main())
