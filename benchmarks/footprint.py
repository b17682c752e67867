"""The footprint of a scale: bytes in both databases and in the proxy's own store, and the proxy's peak memory."""

from __future__ import annotations

from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.system_pair import MIB, SystemPair, collect, stored_bytes
from benchmarks.targets import AMPLIFICATION, MEMORY, STORAGE, TRUSTED_STORE


def measure_storage(pair: SystemPair, results: BenchmarkResults) -> None:
    """Measures what both databases hold, once the encrypted side is compacted."""
    scale = pair.data.sessions
    section = results.section(
        f"storage-{scale}",
        f"Storage of {scale:,} sessions, all columns",
        "Pages that InnoDB has allocated to tables and indexes, after ANALYZE TABLE; neither side is rebuilt first.",
    )
    collect(pair.encrypted)
    encrypted, plaintext = (
        stored_bytes(pair.database, system) / MIB for system in (pair.encrypted.system, pair.plaintext)
    )
    bounds = held_against([STORAGE], encrypted / plaintext, scale)
    section.add(Measurement("compacted", encrypted, plaintext, "MiB", bounds))
    written = pair.written_bytes / MIB
    bounds = held_against([AMPLIFICATION], written / encrypted, scale)
    section.add(Measurement("sent to MariaDB by ingest and compaction", written, None, "MiB", bounds))
    trusted = pair.encrypted.trusted_store_bytes / MIB
    bounds = held_against([TRUSTED_STORE], trusted, scale)
    section.add(Measurement("the proxy's own store", trusted, None, "MiB", bounds))


def measure_memory(pair: SystemPair, results: BenchmarkResults) -> None:
    """Reads the proxy's peak resident memory over everything that ran before."""
    scale = pair.data.sessions
    section = results.section(
        f"memory-{scale}",
        f"The proxy's memory at {scale:,} sessions",
        "The peak of its resident memory: ingest, compaction, every question and every client.",
    )
    peak = max(pair.build_peak_bytes, pair.encrypted.proxy_peak_bytes) / MIB
    section.add(Measurement("peak resident memory", peak, None, "MiB", held_against([MEMORY], peak, scale)))
