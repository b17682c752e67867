"""The folder in which `up` keeps what it starts.

HOME/
├── certificates/   trusted: who may talk to whom (`privacyplease certs`)
├── proxy/          trusted: keys, and the passphrase if none was given
├── server/         untrusted: the store, if no other is given
└── run/            what runs now, and the logs
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.daemon import Daemon


@dataclass(frozen=True)
class Running:
    """What `up` started; `insecure` if it speaks plaintext."""

    server: Daemon
    proxy: Daemon
    insecure: bool = False

    @property
    def daemons(self) -> tuple[Daemon, Daemon]:
        """In the order in which to stop them: the proxy needs the server."""
        return self.proxy, self.server


@dataclass(frozen=True)
class Home:
    """Where things lie in the folder at `path`, which is absolute."""

    path: Path

    @property
    def proxy(self) -> Path:
        """The proxy's own home."""
        return self.path / "proxy"

    @property
    def certificates(self) -> Path:
        """The certificates of the installation."""
        return self.path / "certificates"

    @property
    def operator_certificate(self) -> Path:
        """Whoever ran `up`, as the proxy knows them."""
        return self.certificates / "clients" / "operator"

    @property
    def proxy_certificate(self) -> Path:
        """The proxy, as clients see it."""
        return self.certificates / "proxy"

    @property
    def storage_certificate(self) -> Path:
        """The storage server."""
        return self.certificates / "storage"

    @property
    def proxy_to_storage_certificate(self) -> Path:
        """The proxy, as the storage server sees it."""
        return self.certificates / "proxy-to-storage"

    @property
    def passphrase(self) -> Path:
        """Where the proxy keeps a passphrase that it made up itself."""
        return self.proxy / "passphrase"

    @property
    def restored(self) -> Path:
        """There after a restore, until the proxy knows what came after the backup."""
        return self.proxy / "restored.json"

    @property
    def adopted(self) -> Path:
        """What that was."""
        return self.proxy / "adopted.json"

    @property
    def default_storage(self) -> str:
        """The URL of the store, unless another is given."""
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
        """Makes the folders, for their owner alone."""
        for folder in (self.path, self.proxy, self.path / "server", self._run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def running(self) -> Running | None:
        """What `up` started and `down` did not stop; it may have died since."""
        try:
            state = json.loads(self._state.read_text())
            server, proxy = Daemon(**state["server"]), Daemon(**state["proxy"])
            return Running(server, proxy, bool(state["insecure"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{self._state} is damaged", "stop the servers by hand and delete it") from error

    def remember(self, running: Running) -> None:
        """Notes what was started, whole or not at all."""
        partial = self._state.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(running), indent=2) + "\n")
        partial.replace(self._state)

    def forget(self) -> None:
        """Notes that nothing runs."""
        for name in ("server", "proxy"):
            self.address_file(name).unlink(missing_ok=True)
            self.metrics_file(name).unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second `up` or `down` from working on the same home.

        Raises:
            CommandError: One does already.
        """
        with (self._run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(f"another `privacyplease up` or `down` is at work in {self.path}") from None
            yield

    @property
    def _run(self) -> Path:
        return self.path / "run"

    @property
    def _state(self) -> Path:
        return self._run / "state.json"


def default_home() -> Path:
    """Where applications of this user keep their data."""
    import platformdirs

    return platformdirs.user_data_path("privacyplease")
