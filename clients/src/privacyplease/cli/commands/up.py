"""`privacyplease up`: starts both servers on this machine."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from privacyplease.cli.connection import connection_options
from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.proxy_commands import certificates
from privacyplease.cli.output import screen

if TYPE_CHECKING:
    from privacyplease.cli.local.home import InstallationHome, RunningServers
    from privacyplease.cli.local.launch import LaunchOptions

_DEFAULT_PORT = 50050
_POLL_S = 0.2


def up(
    context: typer.Context,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="PRIVACYPLEASE_STORAGE",
            metavar="URL",
            help="The store: mysql://user@host:port/db or sqlite:///path; with a password, better in the variable.",
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once both serve; `down` stops them.")] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="F", help="Holds the passphrase of the proxy's keys."),
    ] = None,
    proxy_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port of the proxy; 0 lets the system choose.")
    ] = _DEFAULT_PORT,
    metrics_port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65534,
            metavar="N",
            help="Port of the proxy's metrics; N+1 has the storage server's. 0 lets the system choose at each start.",
        ),
    ] = 0,
    cache_mib: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="MiB of cells that the proxy keeps in memory.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            metavar="W",
            help="Folder on another disk, or URL of a database, to detect rollbacks with; repeatable. More may be in "
            "PRIVACYPLEASE_WITNESSES, one a line.",
        ),
    ] = None,
) -> None:
    """Start both servers on this machine, on loopback.

    Keys and certificates are made on first use. All files are in one folder, which --home DIR chooses.

    The passphrase that protects the keys comes from --passphrase-file or PRIVACYPLEASE_PASSPHRASE. Without either, one
    is generated and kept in the home.

    The two servers and their clients identify each other by certificates (`privacyplease certs`). With --insecure they
    use plaintext, and anyone who can reach the ports may ask.

    Example: privacyplease up --detach
    """
    from privacyplease.cli.local.launch import LaunchOptions

    connection = connection_options(context)
    home = connection.home
    home.make()
    options = LaunchOptions(
        home,
        storage or home.default_storage,
        proxy_port,
        passphrase_file and passphrase_file.resolve(),
        connection.insecure,
        cache_mib,
        (*os.environ.get("PRIVACYPLEASE_WITNESSES", "").splitlines(), *(witness or ())),
        metrics_port,
    )
    with home.locked():
        _require_down(home)
        if not options.insecure:
            _certify(home)
        running = _launch(options)
        home.remember(running)
    if detach:
        screen.out().print(f"stop with: {home.command('down')}")
    else:
        _watch(home, running)


def _certify(home: InstallationHome) -> None:
    """Makes the certificates that are missing, and renews those that are due."""
    document = certificates(home.certificates, "prepare")
    for action in ("made", "renewed"):
        if document[action]:
            screen.out().print(f"certificates {action}: {home.certificates}; see `privacyplease certs show`")


def _launch(options: LaunchOptions) -> RunningServers:
    from privacyplease.cli.local.launch import launch

    home = options.home
    had_passphrase, restored = home.passphrase.exists(), home.restored.exists()
    if restored:
        screen.note("asking the storage server for segments that are newer than this home")
    running = launch(options)
    out = screen.out()
    if home.restored.exists():
        screen.note("the restore waits for the approval of a second person: `privacyplease approvals list`")
    elif restored:
        _show_adopted(json.loads(home.adopted.read_text()))
    if home.passphrase.exists() and not had_passphrase:
        out.print(f"passphrase generated: {home.passphrase}; keep a copy, nothing can be opened without it")
    out.print(f"server  {running.server.address}  untrusted  store {without_password(options.storage)}")
    out.print(f"proxy   {running.proxy.address}  trusted    keys {home.proxy}")
    return running


def _show_adopted(adopted: dict[str, Any]) -> None:
    screen.out().print(f"restored: {screen.counted(adopted['cells'], 'cell')} of later segments recovered")
    for name, problem in (
        ("missing", "missing: `privacyplease verify` shows where, for segments that the home knows"),
        ("unreadable", "not as stored: questions that need them fail, for segments that the home knows"),
    ):
        if adopted[name]:
            screen.note(f"warning: {screen.counted(adopted[name], 'cell')} {problem}")
    for period in adopted["keyless"]:
        span = f"{period['dataset']} from {period['start']} to {period['end']}"
        screen.note(f"warning: no key for {span}: records already stored for it are lost; ingest them again")


def _require_down(home: InstallationHome) -> None:
    running = home.running()
    alive = [server.name for server in running.processes if server.process()] if running else []
    if running and len(alive) == len(running.processes):
        raise CommandError(
            f"already up: the proxy serves on {running.proxy.address}",
            f"stop it with `{home.command('down')}`, or give another --home",
        )
    if alive:
        raise CommandError(f"only the {alive[0]} is still running", f"stop it with `{home.command('down')}`")
    home.forget()


def _watch(home: InstallationHome, running: RunningServers) -> None:
    """Waits for Ctrl-C, for `down` in another terminal, or for a server to end."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        screen.out().print("stop with Ctrl-C")
        while all(server.process() for server in running.processes):
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        screen.note("stopping")
    _stop(home, running)


def _stop(home: InstallationHome, running: RunningServers) -> None:
    from privacyplease.cli.local.server_process import last_lines

    if home.running() != running:
        return  # `down` stops them
    ended = [server.name for server in running.processes if not server.process()]
    for server in running.processes:
        server.stop()
    home.forget()
    if ended:
        raise CommandError(f"the {ended[0]} ended unexpectedly", last_lines(home.log(ended[0])))


def without_password(url: str) -> str:
    """The URL of a store, safe to show.

    >>> without_password("mysql://user:secret@db:3306/cells")
    'mysql://user@db:3306/cells'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{host}").geturl()
