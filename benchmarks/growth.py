"""How a question grows with ten times the days around it.

The same question about the same days, to a store that holds a year and to one that holds a tenth of it, in turn.
"""

from __future__ import annotations

from benchmarks import sides
from benchmarks.asking import Asked
from benchmarks.questions import RANGES, families
from benchmarks.results import Results, Row, held
from benchmarks.targets import GROWTH
from benchmarks.world import World, compact, ingest

_FIXED = {name for name, width in RANGES.items() if width < max(RANGES.values())}


def run(world: World, results: Results, rounds: int) -> None:
    """Builds the tenth beside the whole, and asks both."""
    sessions = world.data.sessions
    section = results.section(
        "growth",
        f"Growth of a question from {sessions // 10:,} to {sessions:,} sessions, ten times the days",
        "The encrypted side alone. The tenth are the days in the middle of the whole; both are asked the same, in "
        "turn, and answer the same.",
        sides=("whole", "tenth"),
    )
    with sides.encrypted(world.database, "tenth") as tenth:
        ingest(tenth, world.data.middle(sessions // 10))
        compact(tenth)
        clients = {"whole": world.encrypted.side.client, "tenth": tenth.side.client}
        for family in families(world.data):
            if family.range not in _FIXED:
                continue
            asked = Asked(clients, family)
            asked.medians(rounds=1)
            took = asked.medians(rounds)
            bounds = held([GROWTH], took["whole"] / took["tenth"], sessions)
            section.add(Row(family.name, took["whole"], took["tenth"], "ms", bounds))
