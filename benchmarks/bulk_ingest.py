"""Bulk ingest of a session log, file to durable."""

from __future__ import annotations

import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks import sides
from benchmarks.results import Results, Row, held
from benchmarks.rounds import in_turn
from benchmarks.sessions import Data
from benchmarks.table import Sessions
from benchmarks.targets import BULK_INSERT, BULK_LOAD
from privacyplease.client import Client
from privacyplease.ingest import wifi
from privacyplease.ingest.log_upload import upload_log
from privacyplease.ingest.reject_file import RejectFile
from tests.services.mariadb import MariaDB

SESSIONS = 300_000


def run(database: MariaDB, results: Results, rounds: int) -> None:
    """Measures in rounds of three: encrypted, `executemany` through the twin, and `LOAD DATA` without a service."""
    section = results.section(
        "bulk",
        f"Bulk ingest, {SESSIONS:,} sessions, file to durable",
        "All read the same log with the same reader. Encrypted and `executemany` go from a client over gRPC to a "
        "server that writes; `LOAD DATA LOCAL INFILE` needs none: each block of the reader becomes a file to load.",
    )
    with tempfile.TemporaryDirectory(prefix="bulk-") as folder:
        log = Path(folder, "sessions.csv")
        with log.open("wb") as stream:
            wifi.write(Data(SESSIONS).tables(), stream)
        bench = _Bulk(database, log)
        took = in_turn({"encrypted": bench.encrypted, "insert": bench.insert, "load": bench.load}, rounds)
    rates = {name: SESSIONS / seconds for name, seconds in took.items()}
    for name, target, what in (("insert", BULK_INSERT, "`executemany`"), ("load", BULK_LOAD, "`LOAD DATA`")):
        bounds = held([target], rates["encrypted"] / rates[name], 0)
        section.add(Row(f"beside {what}", rates["encrypted"], rates[name], "sessions/s", bounds))


class _Bulk:
    """Writes one log into a fresh database, in seconds."""

    def __init__(self, database: MariaDB, log: Path) -> None:
        self._database = database
        self._log = log
        self._numbers = count()

    def encrypted(self) -> float:
        with sides.encrypted(self._database, self._name()) as running:
            return self._upload(running.side.client)

    def insert(self) -> float:
        with sides.plaintext(self._database, self._name()) as twin:
            return self._upload(twin.client)

    def load(self) -> float:
        name = self._name()
        url = self._database.create_database(name)
        try:
            with Sessions(url) as sessions:
                sessions.create()
                began = time.perf_counter()
                for block in wifi.read(self._log):
                    sessions.load_table(block.table)
                return time.perf_counter() - began
        finally:
            self._database.drop_database(name)

    def _upload(self, client: Client) -> float:
        with tempfile.TemporaryDirectory() as folder, RejectFile(Path(folder, "rejects")) as rejects:
            began = time.perf_counter()
            accepted = upload_log(client, wifi.read(self._log), rejects).accepted
            took = time.perf_counter() - began
        if accepted != SESSIONS:
            raise RuntimeError(f"expected {SESSIONS:,} sessions to be accepted, got {accepted:,}")
        return took

    def _name(self) -> str:
        return f"bulk_{next(self._numbers)}"
