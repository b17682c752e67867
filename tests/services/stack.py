"""Both servers as processes of their own, started and stopped by the command line as a user does.

Example:
    with stack("sqlite:///cells.db") as running:
        running.command("ingest", "wifi", "sessions.csv")
        running.client.count(start, end)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from privacyplease.cli.local.home import InstallationHome
from privacyplease.client import Client
from privacyplease.proxy.keys.home import Home as ProxyHome


class Stack(NamedTuple):
    """Two servers that run, and ways to talk to them.

    Attributes:
        home: The home that `up` was given.
        proxy: The proxy's address.
        certificates: Folder of the certificate to show it.
        client: A client of the proxy.
        storage: URL of the store.
    """

    home: Path
    proxy: str
    certificates: Path
    client: Client
    storage: str

    def command(self, *arguments: str) -> str:
        """Runs `privacyplease` and returns what it printed on standard output."""
        return _run(self.home, *arguments)

    def restart(self, *flags: str) -> None:
        """Stops both servers and starts them again with flags of `up`; the proxy's address stays."""
        port = self.proxy.rpartition(":")[2]
        _run(self.home, "down")
        _run(self.home, "up", "--detach", "--proxy-port", port, "--storage", self.storage, *flags)


@contextmanager
def stack(storage: str, definitions: Mapping[str, str] | None = None, *, flags: Sequence[str] = ()) -> Iterator[Stack]:
    """Starts both servers over a store, in a home of their own, and stops them.

    Args:
        storage: URL of the store.
        definitions: Definitions of data sets in TOML, by name, in the place of those that ship.
        flags: Further flags of `up`.
    """
    with tempfile.TemporaryDirectory(prefix="privacyplease-") as folder:
        home = Path(folder)
        for name, text in (definitions or {}).items():
            file = ProxyHome(InstallationHome(home).proxy).datasets / f"{name}.toml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        _run(home, "up", "--detach", "--proxy-port", "0", "--storage", storage, *flags)
        try:
            proxy = _proxy_address(home)
            certificates = InstallationHome(home).operator_certificate
            with Client(proxy, certificates=certificates) as client:
                yield Stack(home, proxy, certificates, client, storage)
        finally:
            _run(home, "down")


def _run(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "privacyplease.cli", "--home", str(home), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PRIVACYPLEASE_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"privacyplease {arguments[0]} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _proxy_address(home: Path) -> str:
    running = InstallationHome(home).running()
    if running is None:
        raise RuntimeError("the servers did not start")
    return running.proxy.address
