"""Bulk ingest of a session log, from the file until every record is durable."""

from __future__ import annotations

import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks import systems
from benchmarks.interleaved_runs import run_interleaved
from benchmarks.plaintext_table import PlaintextTable
from benchmarks.results import BenchmarkResults, Measurement, held_against
from benchmarks.sessions import CampusSessions
from benchmarks.targets import BULK_INSERT, BULK_LOAD
from privacyplease.client import Client
from privacyplease.ingest import wifi
from privacyplease.ingest.log_upload import LogUpload
from privacyplease.ingest.reject_file import RejectFile
from tests.services.mariadb import MariaDB

SESSIONS = 300_000


def run(database: MariaDB, results: BenchmarkResults, rounds: int) -> None:
    """Measures three ways: encrypted, `executemany` by the plaintext service, and `LOAD DATA` without a service."""
    section = results.section(
        "bulk",
        f"Bulk ingest, {SESSIONS:,} sessions, file to durable",
        "All read the same log with the same reader. Encrypted and `executemany` go from a client over gRPC to a "
        "service that writes. `LOAD DATA LOCAL INFILE` needs no service: each block of the reader becomes a file to "
        "load.",
    )
    with tempfile.TemporaryDirectory(prefix="bulk-") as folder:
        log = Path(folder, "sessions.csv")
        with log.open("wb") as stream:
            wifi.write(CampusSessions(SESSIONS).tables(), stream)
        ingest = _BulkIngest(database, log)
        runs = {"encrypted": ingest.encrypted, "insert": ingest.insert, "load": ingest.load}
        rates = {name: SESSIONS / seconds for name, seconds in run_interleaved(runs, rounds).items()}
    for name, target, statement in (("insert", BULK_INSERT, "`executemany`"), ("load", BULK_LOAD, "`LOAD DATA`")):
        bounds = held_against([target], rates["encrypted"] / rates[name], 0)
        what = f"compared with {statement}"
        section.add(Measurement(what, rates["encrypted"], rates[name], "sessions/s", bounds))


class _BulkIngest:
    """Ingests one log into a new database; each method returns the seconds it took."""

    def __init__(self, database: MariaDB, log: Path) -> None:
        self._database = database
        self._log = log
        self._numbers = count()

    def encrypted(self) -> float:
        with systems.encrypted(self._database, self._name()) as running:
            return self._upload(running.system.client)

    def insert(self) -> float:
        with systems.plaintext(self._database, self._name()) as plaintext:
            return self._upload(plaintext.client)

    def load(self) -> float:
        name = self._name()
        url = self._database.create_database(name)
        try:
            with PlaintextTable(url) as table:
                table.create()
                began = time.perf_counter()
                for block in wifi.read(self._log):
                    table.load_sessions(block.table)
                return time.perf_counter() - began
        finally:
            self._database.drop_database(name)

    def _upload(self, client: Client) -> float:
        with tempfile.TemporaryDirectory() as folder, RejectFile(Path(folder, "rejects")) as rejects:
            began = time.perf_counter()
            upload = LogUpload(client, rejects)
            upload.run(wifi.read(self._log))
            took = time.perf_counter() - began
        if upload.accepted != SESSIONS:
            raise RuntimeError(f"expected {SESSIONS:,} sessions to be accepted, got {upload.accepted:,}")
        return took

    def _name(self) -> str:
        return f"bulk_{next(self._numbers)}"
