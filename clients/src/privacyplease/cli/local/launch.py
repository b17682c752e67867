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
_GLANCE_S = 0.05


@dataclass(frozen=True)
class Plan:
    """What to start.

    Attributes:
        home: Where to.
        storage: URL of the server's store.
        proxy_port: Where the proxy serves; 0 lets the system choose.
        passphrase_file: What opens the proxy's keys; else the environment's, or one that the proxy makes.
    """

    home: Home
    storage: str
    proxy_port: int
    passphrase_file: Path | None = None


def launch(plan: Plan) -> Running:
    """Starts both servers; if the second does not come up, the first is stopped again.

    Raises:
        CommandError: One is not installed, does not start, or the proxy's port is taken.
    """
    _require_installed()
    _require_free(plan.proxy_port)
    server = _start(
        SERVER,
        plan.home,
        ["--listen", f"{_LOOPBACK}:0"],
        # Not an argument: the URL may hold a password, and arguments are everybody's to read.
        {"PRIVACYPLEASE_STORAGE": plan.storage},
    )
    try:
        return Running(server, _start(PROXY, plan.home, _proxy_arguments(plan, server.address), {}))
    except BaseException:
        server.stop()
        raise


def _proxy_arguments(plan: Plan, storage_server: str) -> list[str]:
    passphrase = ["--passphrase-file", str(plan.passphrase_file)] if plan.passphrase_file else []
    listen = f"{_LOOPBACK}:{plan.proxy_port}"
    return ["--listen", listen, "--storage-server", storage_server, "--home", str(plan.home.proxy), *passphrase]


def _start(module: str, home: Home, arguments: list[str], environment: dict[str, str]) -> Daemon:
    name = module.rpartition(".")[2]
    file, log = home.address_file(name), home.log(name)
    file.unlink(missing_ok=True)
    process = spawn(module, [*arguments, "--address-file", str(file)], environment, log)
    try:
        address = _await_address(process, name, file, log)
        _await_serving(process, name, address, log)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return note(process, module, address)


def _await_address(process: subprocess.Popen[bytes], name: str, file: Path, log: Path) -> str:
    deadline = time.monotonic() + _START_PATIENCE_S
    while not file.exists():
        _require_alive(process, name, log)
        _require_time(deadline, name, log)
        time.sleep(_GLANCE_S)
    return file.read_text().strip()


def _await_serving(process: subprocess.Popen[bytes], name: str, address: str, log: Path) -> None:
    deadline = time.monotonic() + _START_PATIENCE_S
    while (health := check(address)) is not Health.SERVING:
        _require_alive(process, name, log)
        if health is Health.NOT_SERVING and name == "proxy":
            _ask_why(address)
        _require_time(deadline, name, log)
        time.sleep(_GLANCE_S)


def _ask_why(proxy: str) -> None:
    """A proxy that runs but does not serve refuses every question with the reason, as that of a wrong passphrase."""
    from privacyplease.client import Client

    with Client(proxy) as client:
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
