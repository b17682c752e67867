"""Servers with too little memory while records stream in and questions are asked.

Example:
    outcome = starve(folder, "proxy", rounds=3, kill=False)
    assert not outcome.faults
"""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import psutil
import pyarrow as pa

from privacyplease.client import Client, errors
from tests.services.daemon import Daemon
from tests.services.kafka import free_ports
from tests.services.polling import eventually

EIGHT = datetime(2024, 10, 1, 8, tzinfo=UTC)
DAY = EIGHT, EIGHT + timedelta(hours=12)

_RECORDS = 5_000
_UNLIMITED = resource.RLIM_INFINITY, resource.RLIM_INFINITY


class Starved(NamedTuple):
    """The outcome.

    Attributes:
        refused: The messages of calls that failed, without repetition.
        deaths: How often the starved process ended by itself or was killed.
        stored: How many records were acknowledged.
        faults: What is wrong; empty if nothing is.
    """

    refused: set[str]
    deaths: int
    stored: int
    faults: list[str]


class _Site:
    """Both servers, each a process, over SQLite."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        storage, self.address = (f"127.0.0.1:{port}" for port in free_ports(2))
        server = ["-m", "privacyplease.server", "--insecure", "--listen", storage]
        proxy = ["-m", "privacyplease.proxy", "--insecure", "--listen", self.address, "--storage-server", storage]
        proxy += ["--home", str(folder / "home"), "--cache-mib", "0"]
        url = f"sqlite:///{folder}/cells.db"
        self.parts = {
            "server": running.enter_context(Daemon("server", server, folder, PRIVACYPLEASE_STORAGE=url)),
            "proxy": running.enter_context(Daemon("proxy", proxy, folder)),
        }
        self.client = running.enter_context(Client(self.address, insecure=True, timeout=5))
        self.require_served()

    def require_served(self) -> None:
        if not eventually(self.serves, 90):
            raise RuntimeError("\n".join(part.log for part in self.parts.values()))

    def serves(self) -> bool:
        """Whether both servers answer."""
        try:
            return self.client.status().storage.reachable
        except errors.PrivacyPleaseError:
            return False


def starve(folder: Path, name: str, *, rounds: int, kill: bool) -> Starved:
    """Starves a server repeatedly, and checks afterwards that each acknowledged record is stored once.

    Args:
        folder: Where logs and stores are put.
        name: `proxy` or `server`.
        rounds: How often.
        kill: Whether it is then killed from outside, as by the kernel; else only its allocations fail.
    """
    with ExitStack() as running:
        site = _Site(folder, running)
        refused: set[str] = set()
        over, deaths = threading.Event(), 0
        sent: list[int] = []
        sender = threading.Thread(target=_send, args=(site.client, over, sent, refused))
        sender.start()
        try:
            for _ in range(rounds):
                before = len(sent)
                deaths += _starve_once(site, name, refused, kill=kill)
                if not eventually(lambda before=before: len(sent) > before + 1, 90):  # type: ignore[misc]
                    return Starved(refused, deaths, len(sent), [f"ingest does not go on: {sorted(refused)}"])
        finally:
            over.set()
            sender.join(120)
        stored, faults = _RECORDS * len(sent), []
        if (found := site.client.count(*DAY)) < stored:
            faults.append(f"acknowledged {stored:,} records, found {found:,}")
        records = len(site.client.query("wifi", *DAY, purpose="test").to_arrow())
        if records != found:
            faults.append(f"expected each of {found:,} devices once, got {records:,} records")
        faults += [str(finding) for finding in site.client.verify().findings]
        others = [part for other, part in site.parts.items() if other != name]
        faults += [f"{part.name} failed too" for part in others if "Traceback" in part.log]
        return Starved(refused, deaths, stored, faults)


def _starve_once(site: _Site, name: str, refused: set[str], *, kill: bool) -> int:
    """Leaves a part no memory for a few questions; restarts it if it does not recover. Returns how often it did not."""
    part = site.parts[name]
    process = psutil.Process(part.pid)
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            site.client.count(*DAY)
        except errors.PrivacyPleaseError as error:
            refused.add(str(error))
    if kill:
        process.kill()
    elif process.status() != psutil.STATUS_ZOMBIE:
        process.rlimit(psutil.RLIMIT_AS, _UNLIMITED)
        if eventually(site.serves, 10):
            return 0
    part.kill()  # as whatever supervises it does, by its health check
    part.start()
    site.require_served()
    return 1


def _send(client: Client, over: threading.Event, sent: list[int], refused: set[str]) -> None:
    """Sends batches of devices that no other batch has, each until it is acknowledged."""
    number = 0
    while not over.is_set():
        try:
            for ack in client.ingest("wifi", [_records(number)]):
                sent.append(ack.accepted)
            number += 1
        except errors.PrivacyPleaseError as error:
            refused.add(str(error))
            over.wait(0.5)


def _records(number: int) -> pa.Table:
    return pa.table(
        {
            "client_mac": list(_devices(number)),
            "ap_name": ["ap-1"] * _RECORDS,
            "association_time": pa.array([EIGHT] * _RECORDS, pa.timestamp("ms", "UTC")),
            "session_duration": pa.array([60_000] * _RECORDS, pa.duration("ms")),
        }
    )


def _devices(number: int) -> Iterator[str]:
    for device in range(_RECORDS):
        yield f"02:{number >> 8:02x}:{number & 255:02x}:00:{device >> 8:02x}:{device & 255:02x}"
