"""How a question over a fixed range grows with ten times the days."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.questions import RANGES
from benchmarks.results import Bound, Results, Row
from benchmarks.targets import GROWTH

SMALL, LARGE = 1_000_000, 10_000_000


def run(medians: Mapping[int, Mapping[str, float]], results: Results) -> None:
    """Compares the medians of the encrypted side (ms) at two scales, if both were measured."""
    if not (medians.get(SMALL) and medians.get(LARGE)):
        return
    section = results.section(
        "growth",
        "Growth from 1 M to 10 M sessions, ten times the days",
        "The encrypted side alone: medians of the same questions at both scales.",
        sides=("10 M", "1 M"),
    )
    for name, large in medians[LARGE].items():
        if name.rpartition(", ")[2] in _FIXED:
            small = medians[SMALL][name]
            section.add(Row(name, large, small, "ms", (Bound(GROWTH, large / small),)))


_FIXED = set(RANGES) - {"all"}
