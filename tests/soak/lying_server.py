"""Thousands of lies and as many honest answers: every lie found, nothing else refused.

    python -m tests.soak.lying_server [NUMBER] [--seed S]

In rounds, each with a proxy, a store and records of its own; in every other round records come in all the while. Ends
with 1 if a lie was missed or an honest answer refused.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from tests.services.deception import Detections, deception

ROUND = 250


def main() -> int:
    """Runs the rounds and prints what was found.

    Returns:
        0 if every lie was found and no honest answer refused.
    """
    flags = _parser().parse_args()
    print(f"seed {flags.seed}")
    outcomes: list[Detections] = []
    for number, begin in enumerate(range(0, flags.number, ROUND)):
        outcomes.append(_round(flags.seed + number, min(ROUND, flags.number - begin), ingesting=bool(number % 2)))
        if sys.stderr.isatty():
            print(f"\r{begin + ROUND:,} of {flags.number:,}", end="", file=sys.stderr, flush=True)
    detected = sum((outcome.detected for outcome in outcomes), Counter[tuple[str, str]]())
    for (lie, reason), times in sorted(detected.items()):
        print(f"{times:>7,}  {lie}: {reason}")
    wrong = [each for outcome in outcomes for each in (*outcome.missed, *outcome.alarms)]
    honest = sum(outcome.honest for outcome in outcomes)
    print(f"{detected.total():,} lies found, {sum(len(outcome.missed) for outcome in outcomes):,} missed")
    print(f"{honest:,} honest answers given, {sum(len(outcome.alarms) for outcome in outcomes):,} refused")
    print(*wrong, sep="\n")
    return bool(wrong)


def _round(seed: int, number: int, *, ingesting: bool) -> Detections:
    with (
        tempfile.TemporaryDirectory() as folder,
        deception(Path(folder), seed) as deceived,
        deceived.ingesting() if ingesting else nullcontext(),
    ):
        return deceived.ask(lies=number, honest=number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="A storage server that lies, at length.")
    parser.add_argument(
        "number", nargs="?", type=int, default=10_000, help="lies to tell, and honest answers to ask for"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    return parser


if __name__ == "__main__":
    sys.exit(main())
