"""Bytes on both sides' disks, once ours is compacted: with volume hiding, which is the default, and without."""

from __future__ import annotations

from importlib import resources

from benchmarks import sides
from benchmarks.results import Results, Row, held
from benchmarks.sessions import Data
from benchmarks.targets import STORAGE_HIDDEN, STORAGE_PLAIN
from benchmarks.world import MIB, World, collect, compact, ingest, stored_bytes
from tests.services.mariadb import MariaDB

_HOW = "Pages that InnoDB has allocated to tables and indexes, after ANALYZE TABLE; neither side is rebuilt before."


def run(world: World, results: Results) -> None:
    """Measures what both databases hold."""
    scale = world.data.sessions
    section = results.section(f"storage-{scale}", f"Storage of {scale:,} sessions, volume hidden", _HOW)
    collect(world.encrypted)
    ours, theirs = (stored_bytes(world.database, side) / MIB for side in (world.encrypted.side, world.plaintext))
    section.add(Row("compacted", ours, theirs, "MiB", held([STORAGE_HIDDEN], ours / theirs, scale)))
    section.add(Row("the proxy's own store", world.encrypted.trusted_store_bytes / MIB, None, "MiB"))


def run_shown(database: MariaDB, scale: int, results: Results) -> None:
    """Builds our side once more, without volume hiding, and holds it against what plaintext took."""
    hidden = results.named(f"storage-{scale}")
    if hidden is None or hidden.rows[0].plaintext is None:
        raise RuntimeError(f"expected the storage of {scale:,} sessions to be measured before")
    section = results.section(f"unhidden-{scale}", f"Storage of {scale:,} sessions, volume not hidden", _HOW)
    shipped = resources.files("privacyplease.proxy.records") / "datasets" / "wifi.toml"
    definition = shipped.read_text().replace('name = "wifi"', 'name = "wifi"\nhide_volume = false')
    with sides.encrypted(database, "shown", {"wifi": definition}) as encrypted:
        ingest(encrypted, Data(scale))
        compact(encrypted)
        collect(encrypted)
        ours, theirs = stored_bytes(database, encrypted.side) / MIB, hidden.rows[0].plaintext
    section.add(Row("compacted", ours, theirs, "MiB", held([STORAGE_PLAIN], ours / theirs, scale)))
