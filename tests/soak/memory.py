"""Both servers with too little memory, again and again, while records stream in and questions are asked.

    python -m tests.soak.memory [ROUNDS]

Each server first has its allocations fail, then is killed as the kernel would. Ends with 1 if an acknowledged record
was lost or stored twice, or if ingest did not go on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.services.scarce_memory import starve


def main() -> int:
    """Starves each server and prints what came of it.

    Returns:
        0 if nothing acknowledged was lost or doubled.
    """
    parser = argparse.ArgumentParser(description="Servers with too little memory, at length.")
    parser.add_argument("rounds", nargs="?", type=int, default=20, help="how often each is starved in each way")
    rounds: int = parser.parse_args().rounds
    faults: list[str] = []
    for name in ("proxy", "server"):
        for kill in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                outcome = starve(Path(folder), name, rounds=rounds, kill=kill)
            way = "killed" if kill else "allocations fail"
            print(f"{name}, {way}: {outcome.deaths:,} deaths, {outcome.stored:,} records", flush=True)
            print(*(f"    {text}" for text in sorted(outcome.refused)), sep="\n", flush=True)
            faults += [f"{name}, {way}: {fault}" for fault in outcome.faults]
    print(*faults, sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
