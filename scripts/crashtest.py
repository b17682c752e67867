"""Kills every part of the pipeline repeatedly while a log streams in: `make crashtest KILLS=100 SEED=7`.

Prints each kill, and at the end whether every answer is right. It first prints the seed with which the run can be
repeated.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.known_answers import LARGE
from tests.services.pipeline_crashes import Pipeline, PipelineCrashes


def main() -> None:
    """Runs the crash test; exits with 1 if it found a fault."""
    parser = argparse.ArgumentParser(description="Kill every part of the pipeline while a log streams in.")
    parser.add_argument("--kills", type=int, default=100, help="how many kills")
    parser.add_argument("--seed", type=int, default=None, help="repeat the run with this seed")
    parser.add_argument("--log", type=Path, default=LARGE, help="the log; it must be the one with the known answers")
    flags = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if flags.seed is None else flags.seed
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder, Pipeline(Path(folder)) as pipeline:
        outcome = PipelineCrashes(pipeline, flags.log, kills=flags.kills, seed=seed, say=_say).run()
        if outcome.faults:
            _say(pipeline.logs[-20_000:])
    _say(f"killed: {', '.join(f'{name} {count}' for name, count in outcome.killed.items())}")
    _say("\n".join(outcome.faults) or "every answer is right: no record is lost, and none is counted twice")
    sys.exit(1 if outcome.faults else 0)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
