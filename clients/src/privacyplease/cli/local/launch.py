"""Starts the storage server and then the proxy, and waits until they serve."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.health import Health, check
from privacyplease.cli.local.home import InstallationHome, RunningServers
from privacyplease.cli.local.server_process import ServerProcess, last_lines, record, spawn

SERVER = "privacyplease.server"
PROXY = "privacyplease.proxy"

_LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 60.0
# After a restore, the proxy first fetches everything that was stored after the backup.
_RESTORE_TIMEOUT_S = 86_400.0
_POLL_S = 0.05


@dataclass(frozen=True)
class LaunchOptions:
    """How to start the servers.

    Attributes:
        home: Where their files are.
        storage: URL of the server's store.
        proxy_port: Where the proxy serves; 0 lets the system choose.
        passphrase_file: Holds the passphrase of the proxy's keys; None for the environment's, or a generated one.
        insecure: Plaintext instead of the home's certificates.
        cache_mib: MiB of cells that the proxy keeps in memory; None for its default.
        witnesses: Where else the proxy keeps the newest head of its manifest.
        metrics_port: Where the proxy serves metrics, and on the next port the storage server; 0 lets the system choose.
    """

    home: InstallationHome
    storage: str
    proxy_port: int
    passphrase_file: Path | None = None
    insecure: bool = False
    cache_mib: int | None = None
    witnesses: tuple[str, ...] = ()
    metrics_port: int = 0

    def metrics_port_of(self, module: str) -> int:
        """Where a server serves metrics: the proxy on the port that was given, the storage server on the next."""
        return self.metrics_port + (module == SERVER) if self.metrics_port else 0

    @property
    def server_arguments(self) -> list[str]:
        """The arguments of the storage server."""
        security = ["--insecure"] if self.insecure else ["--certificates", str(self.home.storage_certificate)]
        return ["--listen", f"{_LOOPBACK}:0", *security]

    def proxy_arguments(self, storage_server: str) -> list[str]:
        """The arguments of the proxy."""
        passphrase = ["--passphrase-file", str(self.passphrase_file)] if self.passphrase_file else []
        certificates = ["--certificates", str(self.home.proxy_certificate)]
        certificates += ["--storage-certificates", str(self.home.proxy_to_storage_certificate)]
        security = ["--insecure"] if self.insecure else certificates
        serving = ["--listen", f"{_LOOPBACK}:{self.proxy_port}", "--storage-server", storage_server]
        memory = [] if self.cache_mib is None else ["--cache-mib", str(self.cache_mib)]
        return [*serving, "--home", str(self.home.proxy), *security, *passphrase, *memory]

    # URLs are not arguments: they may contain a password, and every user of the machine can read arguments.

    @property
    def server_variables(self) -> dict[str, str]:
        """The environment variables of the storage server."""
        return {"PRIVACYPLEASE_STORAGE": self.storage}

    @property
    def proxy_variables(self) -> dict[str, str]:
        """The environment variables of the proxy, besides ours."""
        return {"PRIVACYPLEASE_WITNESSES": "\n".join(self.witnesses)} if self.witnesses else {}


def launch(options: LaunchOptions) -> RunningServers:
    """Starts both servers. If the proxy does not start, the storage server is stopped again.

    Raises:
        CommandError: A server is not installed or does not start, or the proxy's port is in use.
    """
    _require_installed()
    _require_free(options.proxy_port, "the proxy cannot serve", "--proxy-port")
    for module in (SERVER, PROXY):
        _require_free(options.metrics_port_of(module), "no metrics can be served", "--metrics-port")
    home = options.home
    as_proxy, as_operator = (
        None if options.insecure else folder
        for folder in (home.proxy_to_storage_certificate, home.operator_certificate)
    )
    server = _start(SERVER, options, options.server_arguments, options.server_variables, as_proxy)
    try:
        proxy = _start(PROXY, options, options.proxy_arguments(server.address), options.proxy_variables, as_operator)
        return RunningServers(server, proxy, options.insecure)
    except BaseException:
        server.stop()
        raise


def _start(
    module: str,
    options: LaunchOptions,
    arguments: list[str],
    variables: dict[str, str],
    certificates: Path | None,
) -> ServerProcess:
    """Starts a server; `certificates` is the folder of the certificate for its health check."""
    home, name = options.home, module.rpartition(".")[2]
    address_file, log = home.address_file(name), home.log(name)
    address_file.unlink(missing_ok=True)
    metrics_file = home.metrics_file(name)
    listen = f"{_LOOPBACK}:{options.metrics_port_of(module)}"
    metrics = ["--metrics", listen, "--metrics-address-file", str(metrics_file)]
    process = spawn(module, [*arguments, "--address-file", str(address_file), *metrics], variables, log)
    try:
        address = _await_address(process, name, address_file, log, home)
        _await_serving(process, name, address, log, certificates)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return record(process, module, address, metrics_file.read_text().strip())


def _await_address(process: subprocess.Popen[bytes], name: str, file: Path, log: Path, home: InstallationHome) -> str:
    deadline = time.monotonic() + (_RESTORE_TIMEOUT_S if home.restored.exists() else _START_TIMEOUT_S)
    while not file.exists():
        _require_alive(process, name, log)
        _require_time(deadline, name, log)
        time.sleep(_POLL_S)
    return file.read_text().strip()


def _await_serving(
    process: subprocess.Popen[bytes], name: str, address: str, log: Path, certificates: Path | None
) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while (health := check(address, certificates)) is not Health.SERVING:
        _require_alive(process, name, log)
        if health is Health.NOT_SERVING and name == "proxy":
            _raise_why(address, certificates)
            return  # it waits for the approval of a restore
        _require_time(deadline, name, log)
        time.sleep(_POLL_S)


def _raise_why(proxy: str, certificates: Path | None) -> None:
    """Raises why a proxy runs but does not serve, such as a wrong passphrase: every call fails with the reason."""
    from privacyplease.client import Client

    with Client(proxy, certificates=certificates, insecure=certificates is None) as client:
        client.status()


def _require_alive(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    if process.poll() is not None:
        raise CommandError(f"the {name} ended with code {process.returncode} while starting", last_lines(log))


def _require_time(deadline: float, name: str, log: Path) -> None:
    if time.monotonic() > deadline:
        raise CommandError(f"the {name} did not start serving within {_START_TIMEOUT_S:g} s", last_lines(log))


def _require_installed() -> None:
    for module, distribution in ((SERVER, "privacyplease-server"), (PROXY, "privacyplease-proxy")):
        if find_spec(module) is None:
            raise CommandError(f"{distribution} is not installed here", f"pip install {distribution}")


def _require_free(port: int, failure: str, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a free port may have connections that linger
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise CommandError(
                f"{failure} on port {port}: {error.strerror}",
                f"give another port with {option} N; 0 lets the system choose",
            ) from None
