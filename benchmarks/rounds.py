"""Measuring two things in turn, so that what the machine does meanwhile falls on both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=str)

_LEAST = 3


def in_turn(
    runs: Mapping[Name, Callable[[], float]], rounds: int, longest_s: float = float("inf")
) -> dict[Name, float]:
    """Runs everything once a round, in an order that is reversed each time.

    Args:
        runs: What to run, and what it measures.
        rounds: How often; at least three times even if it takes longer than
        longest_s: the seconds after which no further round begins.

    Returns:
        The median of each.
    """
    measured: dict[Name, list[float]] = {name: [] for name in runs}
    began = time.perf_counter()
    for number in range(rounds):
        if number >= _LEAST and time.perf_counter() - began > longest_s:
            break
        for name, run in list(runs.items())[:: -1 if number % 2 else 1]:
            measured[name].append(run())
    return {name: statistics.median(values) for name, values in measured.items()}
