"""How a question over a fixed range grows with ten times the days."""

from __future__ import annotations

from benchmarks.questions import RANGES
from benchmarks.results import Bound, Results, Row
from benchmarks.targets import GROWTH

_SMALL, _LARGE = "questions-1000000", "questions-10000000"
_FIXED = set(RANGES) - {"all"}


def run(results: Results) -> None:
    """Compares the encrypted side's medians at two scales, if both were measured."""
    small, large = results.named(_SMALL), results.named(_LARGE)
    if not (small and large):
        return
    section = results.section(
        "growth",
        "Growth from 1 M to 10 M sessions, ten times the days",
        "The encrypted side alone: medians of the same questions at both scales.",
        sides=("10 M", "1 M"),
    )
    before = {row.what: row.encrypted for row in small.rows}
    for row in large.rows:
        if row.what.rpartition(", ")[2] in _FIXED:
            bound = Bound(GROWTH, row.encrypted / before[row.what])
            section.add(Row(row.what, row.encrypted, before[row.what], row.unit, (bound,)))
