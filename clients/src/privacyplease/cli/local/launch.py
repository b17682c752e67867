"""Starts the two servers, one after the other, and waits until they serve."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.daemon import Daemon, last_lines, note, spawn
from privacyplease.cli.local.health import Health, check
from privacyplease.cli.local.home import Home, Running

SERVER = "privacyplease.server"
PROXY = "privacyplease.proxy"

_LOOPBACK = "127.0.0.1"
_START_PATIENCE_S = 60.0
# After a restore the proxy first asks for everything that came later.
_RESTORED_PATIENCE_S = 86_400.0
_GLANCE_S = 0.05


@dataclass(frozen=True)
class Plan:
    """What to start.

    Attributes:
        home: Where to.
        storage: URL of the server's store.
        proxy_port: Where the proxy serves; 0 lets the system choose.
        passphrase_file: What opens the proxy's keys; else the environment's, or one that the proxy makes.
        insecure: Plaintext instead of the home's certificates.
        cache_mib: MiB of cells that the proxy keeps in memory; None for its default.
        witnesses: Where else the proxy keeps the newest head of its manifest.
    """

    home: Home
    storage: str
    proxy_port: int
    passphrase_file: Path | None = None
    insecure: bool = False
    cache_mib: int | None = None
    witnesses: tuple[str, ...] = ()

    @property
    def server_arguments(self) -> list[str]:
        """What the server is started with."""
        security = ["--insecure"] if self.insecure else ["--certificates", str(self.home.storage_certificate)]
        return ["--listen", f"{_LOOPBACK}:0", *security]

    def proxy_arguments(self, storage_server: str) -> list[str]:
        """What the proxy is started with."""
        passphrase = ["--passphrase-file", str(self.passphrase_file)] if self.passphrase_file else []
        certificates = ["--certificates", str(self.home.proxy_certificate)]
        certificates += ["--storage-certificates", str(self.home.proxy_to_storage_certificate)]
        security = ["--insecure"] if self.insecure else certificates
        serving = ["--listen", f"{_LOOPBACK}:{self.proxy_port}", "--storage-server", storage_server]
        memory = [] if self.cache_mib is None else ["--cache-mib", str(self.cache_mib)]
        witnesses = [argument for witness in self.witnesses for argument in ("--witness", witness)]
        return [*serving, "--home", str(self.home.proxy), *security, *passphrase, *memory, *witnesses]


def launch(plan: Plan) -> Running:
    """Starts both servers; if the second does not come up, the first is stopped again.

    Raises:
        CommandError: One is not installed, does not start, or the proxy's port is taken.
    """
    _require_installed()
    _require_free(plan.proxy_port)
    home = plan.home
    # Not an argument: the URL may hold a password, and arguments are everybody's to read.
    storage = {"PRIVACYPLEASE_STORAGE": plan.storage}
    as_proxy, as_operator = (
        None if plan.insecure else folder for folder in (home.proxy_to_storage_certificate, home.operator_certificate)
    )
    server = _start(SERVER, home, plan.server_arguments, storage, as_proxy)
    try:
        proxy = _start(PROXY, home, plan.proxy_arguments(server.address), {}, as_operator)
        return Running(server, proxy, plan.insecure)
    except BaseException:
        server.stop()
        raise


def _start(
    module: str, home: Home, arguments: list[str], environment: dict[str, str], certificates: Path | None
) -> Daemon:
    """Starts a server; `certificates` is the folder to ask it with whether it serves."""
    name = module.rpartition(".")[2]
    file, log = home.address_file(name), home.log(name)
    file.unlink(missing_ok=True)
    metrics = home.metrics_file(name)
    published = ["--metrics", f"{_LOOPBACK}:0", "--metrics-address-file", str(metrics)]
    process = spawn(module, [*arguments, "--address-file", str(file), *published], environment, log)
    try:
        address = _await_address(process, name, file, log, home)
        _await_serving(process, name, address, log, certificates)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return note(process, module, address, metrics.read_text().strip())


def _await_address(process: subprocess.Popen[bytes], name: str, file: Path, log: Path, home: Home) -> str:
    deadline = time.monotonic() + (_RESTORED_PATIENCE_S if home.restored.exists() else _START_PATIENCE_S)
    while not file.exists():
        _require_alive(process, name, log)
        _require_time(deadline, name, log)
        time.sleep(_GLANCE_S)
    return file.read_text().strip()


def _await_serving(
    process: subprocess.Popen[bytes], name: str, address: str, log: Path, certificates: Path | None
) -> None:
    deadline = time.monotonic() + _START_PATIENCE_S
    while (health := check(address, certificates)) is not Health.SERVING:
        _require_alive(process, name, log)
        if health is Health.NOT_SERVING and name == "proxy":
            _ask_why(address, certificates)
        _require_time(deadline, name, log)
        time.sleep(_GLANCE_S)


def _ask_why(proxy: str, certificates: Path | None) -> None:
    """A proxy that runs but does not serve refuses every question with the reason, as that of a wrong passphrase."""
    from privacyplease.client import Client

    with Client(proxy, certificates=certificates, insecure=certificates is None) as client:
        client.status()


def _require_alive(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    if process.poll() is not None:
        raise CommandError(f"the {name} ended with code {process.returncode} while starting", last_lines(log))


def _require_time(deadline: float, name: str, log: Path) -> None:
    if time.monotonic() > deadline:
        raise CommandError(f"the {name} does not serve after {_START_PATIENCE_S:g} s", last_lines(log))


def _require_installed() -> None:
    for module, distribution in ((SERVER, "privacyplease-server"), (PROXY, "privacyplease-proxy")):
        if find_spec(module) is None:
            raise CommandError(f"{distribution} is not installed here", f"pip install {distribution}")


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what merely lingers after a close is free
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise CommandError(
                f"the proxy cannot serve on port {port}: {error.strerror}",
                "give another with --proxy-port N; 0 lets the system choose",
            ) from None
