"""Bytes on both sides' disks."""

from __future__ import annotations

from benchmarks.results import Results, Row
from benchmarks.world import World

MIB = 1024 * 1024


def run(world: World, results: Results) -> None:
    """Measures what both databases hold."""
    section = results.section(
        f"storage-{world.data.sessions}",
        f"Storage of {world.data.sessions:,} sessions",
        "Pages that InnoDB has allocated to tables and indexes, after ANALYZE TABLE; neither side is rebuilt before.",
    )
    theirs = world.stored_bytes(world.plaintext) / MIB
    ours = world.stored_bytes(world.encrypted.side) / MIB
    section.add(Row("as ingested", ours, theirs, "MiB"))
    section.add(Row("the proxy's own store", world.encrypted.trusted_store_bytes / MIB, None, "MiB"))
