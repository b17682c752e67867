"""Interleaved runs: whatever else the machine does meanwhile affects all of them alike.

>>> run_interleaved({"quick": lambda: 1.0, "slow": lambda: 2.0}, rounds=3)
{'quick': 1.0, 'slow': 2.0}
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=str)

LONGEST_S = 60.0


def run_interleaved(
    runs: Mapping[Name, Callable[[], float]], rounds: int, longest_s: float = LONGEST_S
) -> dict[Name, float]:
    """Runs everything once a round, in an order that is reversed each time.

    Args:
        runs: What to run, by name; each returns what it measured.
        rounds: How many rounds.
        longest_s: A run that has taken longer than this in total is not repeated: a statement of a minute varies less
            from run to run than one of a millisecond.

    Returns:
        The median of each.
    """
    measured: dict[Name, list[float]] = {name: [] for name in runs}
    spent = dict.fromkeys(runs, 0.0)
    for number in range(rounds):
        for name, run in list(runs.items())[:: -1 if number % 2 else 1]:
            if spent[name] <= longest_s:
                began = time.perf_counter()
                measured[name].append(run())
                spent[name] += time.perf_counter() - began
    return {name: statistics.median(values) for name, values in measured.items()}
