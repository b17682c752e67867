"""The folder in which `up` keeps both servers' files.

HOME/
├── certificates/   trusted: who may talk to whom (`privacyplease certs`)
├── proxy/          trusted: keys, and the passphrase if none was given
├── server/         untrusted: the store, unless --storage names another
└── run/            which processes run, and their logs
"""

from __future__ import annotations

import fcntl
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.server_process import ServerProcess


@dataclass(frozen=True)
class RunningServers:
    """The servers that `up` started; `insecure` if they use plaintext."""

    server: ServerProcess
    proxy: ServerProcess
    insecure: bool = False

    @property
    def processes(self) -> tuple[ServerProcess, ServerProcess]:
        """In the order in which to stop them: the proxy needs the server."""
        return self.proxy, self.server


@dataclass(frozen=True)
class InstallationHome:
    """Where files are in the home at `path`, which is absolute."""

    path: Path

    @property
    def proxy(self) -> Path:
        """The proxy's own home."""
        return self.path / "proxy"

    @property
    def certificates(self) -> Path:
        """All certificates."""
        return self.path / "certificates"

    @property
    def operator_certificate(self) -> Path:
        """The certificate of the person who ran `up`."""
        return self.certificates / "clients" / "operator"

    @property
    def proxy_certificate(self) -> Path:
        """The certificate that the proxy shows clients."""
        return self.certificates / "proxy"

    @property
    def storage_certificate(self) -> Path:
        """The certificate of the storage server."""
        return self.certificates / "storage"

    @property
    def proxy_to_storage_certificate(self) -> Path:
        """The certificate that the proxy shows the storage server."""
        return self.certificates / "proxy-to-storage"

    @property
    def passphrase(self) -> Path:
        """Where the proxy keeps a passphrase that it generated."""
        return self.proxy / "passphrase"

    @property
    def policy(self) -> Path:
        """Who may ask what."""
        return self.proxy / "policy.toml"

    @property
    def restored(self) -> Path:
        """Exists after a restore until the proxy has found what was stored after the backup."""
        return self.proxy / "restored.json"

    @property
    def adopted(self) -> Path:
        """What the proxy found was stored after the backup."""
        return self.proxy / "adopted.json"

    @property
    def default_storage(self) -> str:
        """The URL of the store, unless --storage names another."""
        return f"sqlite:///{self.path / 'server' / 'store.db'}"

    def log(self, name: str) -> Path:
        """The log of the `server` or the `proxy`."""
        return self._run / f"{name}.log"

    def address_file(self, name: str) -> Path:
        """Where the `server` or the `proxy` writes its address."""
        return self._run / f"{name}.address"

    def metrics_file(self, name: str) -> Path:
        """Where the `server` or the `proxy` writes the address of its metrics."""
        return self._run / f"{name}.metrics"

    def make(self) -> None:
        """Creates the folders, which only their owner may open."""
        for folder in (self.path, self.proxy, self.path / "server", self._run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def running(self) -> RunningServers | None:
        """The servers that `up` started and `down` has not stopped; they may have ended since.

        Raises:
            CommandError: The record of them is damaged.
        """
        try:
            state = json.loads(self._state.read_text())
            server, proxy = ServerProcess(**state["server"]), ServerProcess(**state["proxy"])
            return RunningServers(server, proxy, bool(state["insecure"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{self._state} is damaged", "stop the servers by hand and delete this file") from error

    def remember(self, running: RunningServers) -> None:
        """Records, atomically, which servers were started."""
        partial = self._state.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(running), indent=2) + "\n")
        partial.replace(self._state)

    def forget(self) -> None:
        """Records that no server runs."""
        for name in ("server", "proxy"):
            self.address_file(name).unlink(missing_ok=True)
            self.metrics_file(name).unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def command(self, name: str) -> str:
        """The line to enter to run a command on this home, from any shell: with --home unless it is the default."""
        option = "" if self.path == default_home().resolve() else f" --home {shlex.quote(str(self.path))}"
        return f"privacyplease {name}{option}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second `up` or `down` from working on the same home.

        Raises:
            CommandError: Another one is running.
        """
        with (self._run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(f"another `privacyplease up` or `down` is running in {self.path}") from None
            yield

    @property
    def _run(self) -> Path:
        return self.path / "run"

    @property
    def _state(self) -> Path:
        return self._run / "state.json"


def default_home() -> Path:
    """The home unless --home names another: where this user's applications keep data."""
    import platformdirs

    return platformdirs.user_data_path("privacyplease")
