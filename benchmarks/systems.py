"""Starts the two systems that are compared: Privacy Please, and the plaintext service.

The same client asks both, over mutual TLS with certificates of the same kind. The encrypted system is the proxy, the
storage server and a database; the plaintext system is the plaintext service and a database. Each is a process of its
own on this machine. Both databases are in one MariaDB, so they share its settings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.plaintext_table import PlaintextTable
from privacyplease.cli.local.home import InstallationHome
from privacyplease.client import Client
from tests.services.certificates import Made
from tests.services.daemon import Daemon
from tests.services.mariadb import MariaDB
from tests.services.polling import eventually
from tests.services.stack import Stack, stack

# Large enough for both databases: the plaintext system must not lose because it reads from disk.
MARIADB_OPTIONS = ("--innodb-buffer-pool-size=4G", "--innodb-log-file-size=1G", "--local-infile=1")

_START_S = 30.0
_CALL_TIMEOUT_S = 600.0


class System(NamedTuple):
    """A running system, and how to reach it.

    Attributes:
        address: The address of its gRPC server.
        certificates: The folder of the client certificate.
        client: A client connected to it.
        database: The name of its database.
    """

    address: str
    certificates: Path
    client: Client
    database: str


class EncryptedSystem(NamedTuple):
    """The encrypted system and its processes.

    Attributes:
        system: How to reach the proxy.
        stack: The two servers.
    """

    system: System
    stack: Stack

    @property
    def proxy_peak_bytes(self) -> int:
        """The proxy's peak resident memory (Linux)."""
        running = InstallationHome(self.stack.home).running()
        if running is None:
            raise RuntimeError("expected the proxy to be running")
        status = Path(f"/proc/{running.proxy.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024

    @property
    def trusted_store_bytes(self) -> int:
        """The size of the proxy's own store: wrapped keys and the manifest."""
        return sum(file.stat().st_size for file in InstallationHome(self.stack.home).proxy.glob("trusted.db*"))


@contextmanager
def encrypted(database: MariaDB, name: str, definitions: Mapping[str, str] | None = None) -> Iterator[EncryptedSystem]:
    """Starts both servers over a new, empty database, which is dropped at the end.

    Args:
        database: The MariaDB to create it in.
        name: The name of the new database.
        definitions: See `tests.services.stack`.
    """
    with (
        _database(database, name) as url,
        stack(url, definitions) as running,
        Client(running.proxy, certificates=running.certificates, timeout=_CALL_TIMEOUT_S) as client,
    ):
        yield EncryptedSystem(System(running.proxy, running.certificates, client, name), running)


@contextmanager
def without_cache(encrypted: EncryptedSystem) -> Iterator[Client]:
    """Restarts the servers with a proxy that keeps no cell in memory, so that every question is a cold one.

    Afterwards they are restarted with the default cache, at the same address.
    """
    running = encrypted.stack
    try:
        running.restart("--cache-mib", "0")
        with Client(running.proxy, certificates=running.certificates, timeout=_CALL_TIMEOUT_S) as client:
            yield client
    finally:
        running.restart()


@contextmanager
def plaintext(database: MariaDB, name: str) -> Iterator[System]:
    """Starts the plaintext service over an empty table in a new database, which is dropped at the end."""
    with _database(database, name) as url, tempfile.TemporaryDirectory(prefix="plaintext-") as folder:
        with PlaintextTable(url) as table:
            table.create()
        issued, address_file = Made(Path(folder)), Path(folder, "address")
        flags = ["--database", url, "--certificates", str(issued["proxy"]), "--address-file", str(address_file)]
        with Daemon("plaintext-service", ["-m", "benchmarks.plaintext_service", *flags], Path(folder)) as service:
            if not eventually(address_file.exists, _START_S):
                raise RuntimeError(f"the plaintext service did not start:\n{service.log}")
            certificates = issued["clients/operator"]
            address = address_file.read_text().strip()
            with Client(address, certificates=certificates, timeout=_CALL_TIMEOUT_S) as client:
                yield System(address, certificates, client, name)


@contextmanager
def _database(database: MariaDB, name: str) -> Iterator[str]:
    try:
        yield database.create_database(name)
    finally:
        database.drop_database(name)
