"""The two sides: the same client in front of the proxy and in front of the plaintext twin.

Both speak mutual TLS, with certificates of the same kind. Behind the one are the proxy, the storage server and a
database; behind the other the twin and a database. All are processes of their own on this machine, and both databases
lie in one MariaDB, so that they share its settings.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import Sessions
from privacyplease.cli.local.home import InstallationHome
from privacyplease.client import Client
from tests.services.certificates import Made
from tests.services.daemon import Daemon
from tests.services.mariadb import MariaDB
from tests.services.patience import eventually
from tests.services.stack import Stack, stack

# Both databases fit: the plaintext side is not to be beaten by reading from the disk.
MARIADB_OPTIONS = ("--innodb-buffer-pool-size=4G", "--innodb-log-file-size=1G", "--local-infile=1")

_START_S = 30.0
_PATIENCE_S = 600.0


class Side(NamedTuple):
    """Where to ask.

    Attributes:
        address: The server's.
        certificates: Folder of the certificate to show it.
        client: A client of it.
        database: The name of the database behind it.
    """

    address: str
    certificates: Path
    client: Client
    database: str


class Encrypted(NamedTuple):
    """The encrypted side, and the processes of it.

    Attributes:
        side: Where to ask.
        stack: What runs.
    """

    side: Side
    stack: Stack

    @property
    def proxy_peak_bytes(self) -> int:
        """The most memory that the proxy ever had resident (Linux)."""
        running = InstallationHome(self.stack.home).running()
        if running is None:
            raise RuntimeError("expected the proxy to run")
        status = Path(f"/proc/{running.proxy.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024

    @property
    def trusted_store_bytes(self) -> int:
        """What the proxy keeps itself: wrapped keys and the manifest."""
        return sum(file.stat().st_size for file in InstallationHome(self.stack.home).proxy.glob("trusted.db*"))


@contextmanager
def encrypted(database: MariaDB, name: str, definitions: Mapping[str, str] | None = None) -> Iterator[Encrypted]:
    """Both servers over an empty database of that name, which is dropped in the end.

    Args:
        database: Where.
        name: The name.
        definitions: See `tests.services.stack`.
    """
    with (
        _database(database, name) as url,
        stack(url, definitions) as running,
        Client(running.proxy, certificates=running.certificates, timeout=_PATIENCE_S) as client,
    ):
        yield Encrypted(Side(running.proxy, running.certificates, client, name), running)


@contextmanager
def without_memory(encrypted: Encrypted) -> Iterator[Client]:
    """The encrypted side with a proxy that keeps no cell in memory, so that every question is asked for the first time.

    The usual one serves again afterwards, at the same address.
    """
    running = encrypted.stack
    try:
        running.restart("--cache-mib", "0")
        with Client(running.proxy, certificates=running.certificates, timeout=_PATIENCE_S) as client:
            yield client
    finally:
        running.restart()


@contextmanager
def plaintext(database: MariaDB, name: str) -> Iterator[Side]:
    """The twin over an empty table in a database of that name, which is dropped in the end."""
    with _database(database, name) as url, tempfile.TemporaryDirectory(prefix="twin-") as folder:
        with Sessions(url) as sessions:
            sessions.create()
        made, address = Made(Path(folder)), Path(folder, "address")
        flags = ["--database", url, "--certificates", str(made["proxy"]), "--address-file", str(address)]
        with Daemon("twin", ["-m", "benchmarks.twin", *flags], Path(folder)) as twin:
            if not eventually(address.exists, _START_S):
                raise RuntimeError(f"the twin did not start:\n{twin.log}")
            certificates = made["clients/operator"]
            where = address.read_text().strip()
            with Client(where, certificates=certificates, timeout=_PATIENCE_S) as client:
                yield Side(where, certificates, client, name)


@contextmanager
def _database(database: MariaDB, name: str) -> Iterator[str]:
    try:
        yield database.create_database(name)
    finally:
        database.drop_database(name)
