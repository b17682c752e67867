"""Both systems filled with the same sessions, and the measurements taken while they are filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from benchmarks import systems
from benchmarks.plaintext_table import PlaintextTable
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.sessions import CampusSessions
from benchmarks.systems import EncryptedSystem, System
from benchmarks.targets import COMPACTION
from privacyplease.proxy.compaction.garbage_collection import KEPT_MS
from tests.services.mariadb import MariaDB

MIB = 1024 * 1024

_BATCH = 65_536
_PURGE_S = 30.0


@dataclass(frozen=True)
class SystemPair:
    """Both systems filled, and the encrypted one compacted.

    Attributes:
        data: The sessions that both hold.
        database: The MariaDB behind both.
        encrypted: The encrypted system.
        plaintext: The plaintext system.
        build_peak_bytes: The proxy's peak resident memory during ingest and compaction.
        written_bytes: How much ingest and compaction sent to MariaDB.
    """

    data: CampusSessions
    database: MariaDB
    encrypted: EncryptedSystem
    plaintext: System
    build_peak_bytes: int
    written_bytes: int


@contextmanager
def filled_pair(database: MariaDB, sessions: int, results: BenchmarkResults) -> Iterator[SystemPair]:
    """Fills both systems: the encrypted one as users do, the plaintext one the fastest way there is (`LOAD DATA`)."""
    data = CampusSessions(sessions)
    section = results.section(
        f"build-{sessions}",
        f"Building {sessions:,} sessions of {data.days:,} days",
        "Straight from the generator, which takes a few percent of the time, through the SDK and with `LOAD DATA`; "
        "then the encrypted side is compacted.",
    )
    with systems.encrypted(database, "cells") as encrypted, systems.plaintext(database, "plain") as plaintext:
        plaintext_s = _timed(lambda: _load(database.url(plaintext.database), data))
        before = _received_bytes(database)
        encrypted_s = _timed(lambda: ingest(encrypted, data))
        section.add(Measurement("ingest", sessions / encrypted_s, sessions / plaintext_s, "sessions/s"))
        encrypted_mib, plaintext_mib = (
            stored_bytes(database, system) / MIB for system in (encrypted.system, plaintext)
        )
        section.add(Measurement("stored before compaction", encrypted_mib, plaintext_mib, "MiB"))
        rate = sessions / _timed(lambda: compact(encrypted))
        bounds = held_against([COMPACTION], rate, sessions)
        section.add(Measurement("compaction", rate, None, "sessions/s", bounds))
        written = _received_bytes(database) - before
        yield SystemPair(data, database, encrypted, plaintext, encrypted.proxy_peak_bytes, written)


def stored_bytes(database: MariaDB, system: System) -> int:
    """The size of a system's tables and indexes: the pages that InnoDB has allocated to them."""
    for (table,) in database.execute("SHOW TABLES", system.database):
        database.execute(f"ANALYZE TABLE `{table}`", system.database)
    size = "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = "
    (row,) = database.execute(f"{size}'{system.database}'")
    return int(str(row[0]))


def _received_bytes(database: MariaDB) -> int:
    (row,) = database.execute("SHOW GLOBAL STATUS LIKE 'Bytes_received'")
    return int(str(row[1]))


def compact(encrypted: EncryptedSystem) -> None:
    """Compacts until nothing is left to compact."""
    while sum(step.merged_cells for step in encrypted.system.client.compact(dataset="wifi", include_open=True)):
        pass


def collect(encrypted: EncryptedSystem) -> None:
    """Deletes the cells that compaction replaced, once they may be deleted, and waits for InnoDB to purge them."""
    time.sleep(KEPT_MS / 1_000 + 5)
    for _ in encrypted.system.client.compact(dataset="wifi"):
        pass
    time.sleep(_PURGE_S)


def ingest(encrypted: EncryptedSystem, data: CampusSessions) -> None:
    """Sends all sessions through the SDK."""
    accepted = sum(ack.accepted for ack in encrypted.system.client.ingest("wifi", _batches(data)))
    if accepted != data.sessions:
        raise RuntimeError(f"expected {data.sessions:,} sessions to be accepted, got {accepted:,}")


def _load(url: str, data: CampusSessions) -> None:
    with PlaintextTable(url) as table:
        for batch in _batches(data):
            table.load_sessions(batch)


def _batches(data: CampusSessions) -> Iterator[pa.Table]:
    """The days, joined into batches of at most `_BATCH` sessions."""
    pending: list[pa.Table] = []
    for day in data.tables():
        if pending and sum(map(len, pending)) + len(day) > _BATCH:
            yield pa.concat_tables(pending)
            pending = []
        pending.append(day)
    yield pa.concat_tables(pending)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
