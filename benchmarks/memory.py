"""The most memory that the proxy had while everything before was measured."""

from __future__ import annotations

from benchmarks.results import Results, Row, held
from benchmarks.targets import MEMORY
from benchmarks.world import World

MIB = 1024 * 1024


def run(world: World, results: Results) -> None:
    """Reads the high-water mark of the proxy's resident memory."""
    section = results.section(
        f"memory-{world.data.sessions}",
        f"The proxy's memory at {world.data.sessions:,} sessions",
        "The high-water mark of its resident memory: ingest, compaction, every question and every client.",
    )
    peak = max(world.built_peak_bytes, world.encrypted.proxy_peak_bytes) / MIB
    section.add(Row("most resident memory", peak, None, "MiB", held([MEMORY], peak, world.data.sessions)))
