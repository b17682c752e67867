"""One scale: the same sessions on both sides, and what was measured while they went in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from benchmarks import sides
from benchmarks.results import Results, Row, held
from benchmarks.sessions import Data
from benchmarks.sides import Encrypted, Side
from benchmarks.table import Sessions
from benchmarks.targets import COMPACTION
from privacyplease.proxy.compaction.collection import KEPT_MS
from tests.services.mariadb import MariaDB

_BATCH = 65_536
_PURGE_S = 30.0


MIB = 1024 * 1024


@dataclass(frozen=True)
class World:
    """Both sides, filled, and ours compacted.

    Attributes:
        data: What they hold.
        database: The MariaDB behind both.
        encrypted: Ours.
        plaintext: The twin.
        built_peak_bytes: The most memory that the proxy had resident while ours was built.
        written_bytes: What MariaDB was sent meanwhile, by ingest and by all compaction.
    """

    data: Data
    database: MariaDB
    encrypted: Encrypted
    plaintext: Side
    built_peak_bytes: int
    written_bytes: int


@contextmanager
def world(database: MariaDB, sessions: int, results: Results) -> Iterator[World]:
    """Builds both sides: ours as everybody would, the plaintext one the quickest way there is (`LOAD DATA`)."""
    data = Data(sessions)
    section = results.section(
        f"build-{sessions}",
        f"Building {sessions:,} sessions of {data.days:,} days",
        "From the generator, whose own time is a few percent, by the SDK and by `LOAD DATA`; then ours is compacted.",
    )
    with sides.encrypted(database, "cells") as encrypted, sides.plaintext(database, "plain") as plaintext:
        theirs = _timed(lambda: _load(database.url(plaintext.database), data))
        before = _received_bytes(database)
        ours = _timed(lambda: ingest(encrypted, data))
        section.add(Row("ingest", sessions / ours, sessions / theirs, "sessions/s"))
        stored = [stored_bytes(database, side) / MIB for side in (encrypted.side, plaintext)]
        section.add(Row("stored before compaction", stored[0], stored[1], "MiB"))
        rate = sessions / _timed(lambda: compact(encrypted))
        section.add(Row("compaction", rate, None, "sessions/s", held([COMPACTION], rate, sessions)))
        written = _received_bytes(database) - before
        yield World(data, database, encrypted, plaintext, encrypted.proxy_peak_bytes, written)


def stored_bytes(database: MariaDB, side: Side) -> int:
    """Bytes of a side's tables and indexes, as InnoDB has allocated them to data."""
    for (table,) in database.execute("SHOW TABLES", side.database):
        database.execute(f"ANALYZE TABLE `{table}`", side.database)
    size = "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = "
    (row,) = database.execute(f"{size}'{side.database}'")
    return int(str(row[0]))


def _received_bytes(database: MariaDB) -> int:
    (row,) = database.execute("SHOW GLOBAL STATUS LIKE 'Bytes_received'")
    return int(str(row[1]))


def compact(encrypted: Encrypted) -> None:
    """Compacts until nothing is left to do."""
    while sum(step.merged_cells for step in encrypted.side.client.compact(dataset="wifi", include_open=True)):
        pass


def collect(encrypted: Encrypted) -> None:
    """Waits until what compaction has replaced can be removed from the server, is, and InnoDB has purged it."""
    time.sleep(KEPT_MS / 1_000 + 5)
    for _ in encrypted.side.client.compact(dataset="wifi"):
        pass
    time.sleep(_PURGE_S)


def ingest(encrypted: Encrypted, data: Data) -> None:
    """Sends all sessions through the SDK."""
    accepted = sum(ack.accepted for ack in encrypted.side.client.ingest("wifi", _batches(data)))
    if accepted != data.sessions:
        raise RuntimeError(f"expected {data.sessions:,} sessions to be accepted, got {accepted:,}")


def _load(url: str, data: Data) -> None:
    with Sessions(url) as sessions:
        for batch in _batches(data):
            sessions.load_table(batch)


def _batches(data: Data) -> Iterator[pa.Table]:
    """The days, joined until they fill a batch."""
    waiting: list[pa.Table] = []
    for table in data.tables():
        if waiting and sum(map(len, waiting)) + len(table) > _BATCH:
            yield pa.concat_tables(waiting)
            waiting = []
        waiting.append(table)
    yield pa.concat_tables(waiting)


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
