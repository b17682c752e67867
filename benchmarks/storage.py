"""Bytes on both sides' disks, once ours is compacted, and of the proxy's own store."""

from __future__ import annotations

from benchmarks.results import Results, Row, held
from benchmarks.targets import AMPLIFICATION, STORAGE, TRUSTED_STORE
from benchmarks.world import MIB, World, collect, stored_bytes

_HOW = "Pages that InnoDB has allocated to tables and indexes, after ANALYZE TABLE; neither side is rebuilt before."


def run(world: World, results: Results) -> None:
    """Measures what both databases hold."""
    scale = world.data.sessions
    section = results.section(f"storage-{scale}", f"Storage of {scale:,} sessions, all columns", _HOW)
    collect(world.encrypted)
    ours, theirs = (stored_bytes(world.database, side) / MIB for side in (world.encrypted.side, world.plaintext))
    section.add(Row("compacted", ours, theirs, "MiB", held([STORAGE], ours / theirs, scale)))
    written, amplified = world.written_bytes / MIB, world.written_bytes / MIB / ours
    section.add(
        Row("sent to MariaDB by ingest and compaction", written, None, "MiB", held([AMPLIFICATION], amplified, scale))
    )
    trusted = world.encrypted.trusted_store_bytes / MIB
    section.add(Row("the proxy's own store", trusted, None, "MiB", held([TRUSTED_STORE], trusted, scale)))
