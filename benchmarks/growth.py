"""How the latency of a question grows with ten times the days around it.

The same questions about the same days go, in turn, to a store that holds all days and to one that holds a tenth.
"""

from __future__ import annotations

from benchmarks import systems
from benchmarks.question_latency import FamilyTimer
from benchmarks.questions import RANGES, families
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.system_pair import SystemPair, compact, ingest
from benchmarks.targets import GROWTH

_FIXED_RANGES = {name for name, width in RANGES.items() if width < max(RANGES.values())}


def run(pair: SystemPair, results: BenchmarkResults, rounds: int) -> None:
    """Builds the tenth beside the whole, and asks both."""
    sessions = pair.data.sessions
    section = results.section(
        "growth",
        f"Growth of a question from {sessions // 10:,} to {sessions:,} sessions, ten times the days",
        "The encrypted side only. The tenth is the days in the middle of the whole. Both are asked the same questions, "
        "in turn, and give the same answers.",
        sides=("whole", "tenth"),
    )
    with systems.encrypted(pair.database, "tenth") as tenth:
        ingest(tenth, pair.data.middle(sessions // 10))
        compact(tenth)
        clients = {"whole": pair.encrypted.system.client, "tenth": tenth.system.client}
        for family in families(pair.data):
            if family.range not in _FIXED_RANGES:
                continue
            timer = FamilyTimer(clients, family)
            timer.medians(rounds=1)
            medians = timer.medians(rounds)
            bounds = held_against([GROWTH], medians["whole"] / medians["tenth"], sessions)
            section.add(Measurement(family.name, medians["whole"], medians["tenth"], "ms", bounds))
