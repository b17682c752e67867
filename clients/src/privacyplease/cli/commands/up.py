"""`privacyplease up`: both servers on this machine."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from privacyplease.cli import screen
from privacyplease.cli.failures import CommandError
from privacyplease.cli.target import target

if TYPE_CHECKING:
    from privacyplease.cli.local.home import Home, Running
    from privacyplease.cli.local.launch import Plan

_DEFAULT_PORT = 50050
_GLANCE_S = 0.2


def up(
    context: typer.Context,
    storage: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The store: mysql://user:password@host:port/db or sqlite:///path."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once both serve; stop them with `down`.")] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="F", help="Holds the passphrase of the proxy's keys."),
    ] = None,
    proxy_port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Where the proxy serves; 0: the system chooses.")
    ] = _DEFAULT_PORT,
    cache_mib: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="MiB of cells that the proxy keeps in memory.")
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(metavar="W", help="Folder on another disk, or URL of a database, that notices a rollback."),
    ] = None,
) -> None:
    """Start both servers on this machine, on loopback. Keys and certificates are made on first use.

    All of it lies in one folder, which --home DIR chooses.

    The passphrase that protects the keys comes from --passphrase-file or PRIVACYPLEASE_PASSPHRASE. Without either, one
    is made up and kept in the home.

    The two servers and their clients know each other by certificates (`privacyplease certs`). With --insecure they
    speak plaintext, and whoever can reach the ports may ask.

    Example: privacyplease up --detach
    """
    from privacyplease.cli.local.launch import Plan

    asked = target(context)
    home, passphrase = asked.home, passphrase_file and passphrase_file.resolve()
    home.make()
    plan = Plan(
        home,
        storage or home.default_storage,
        proxy_port,
        passphrase,
        asked.insecure,
        cache_mib,
        tuple(witness or ()),
    )
    with home.locked():
        _require_down(home)
        if not plan.insecure:
            _certify(home)
        running = _launch(plan)
        home.remember(running)
    if detach:
        screen.out().print("stop with: privacyplease down")
    else:
        _watch(home, running)


def _certify(home: Home) -> None:
    """Makes the certificates that are missing, and renews those that are due."""
    from privacyplease.cli.local.certificates import certs

    done = certs(home.certificates, "prepare")
    for word, names in (("made", done["made"]), ("renewed", done["renewed"])):
        if names:
            screen.out().print(f"certificates {word}: {home.certificates}; see `privacyplease certs show`")


def _launch(plan: Plan) -> Running:
    from privacyplease.cli.local.launch import launch

    kept, restored = plan.home.passphrase.exists(), plan.home.restored.exists()
    if restored:
        screen.note("asking the storage server what came later than this home knows")
    running = launch(plan)
    out = screen.out()
    if restored:
        _show_adopted(json.loads(plan.home.adopted.read_text()))
    if plan.home.passphrase.exists() and not kept:
        out.print(f"passphrase made up: {plan.home.passphrase}; keep a copy, nothing opens without it")
    out.print(f"server  {running.server.address}  untrusted  store {without_password(plan.storage)}")
    out.print(f"proxy   {running.proxy.address}  trusted    keys {plan.home.proxy}")
    return running


def _show_adopted(found: dict[str, Any]) -> None:
    out = screen.out()
    out.print(f"restored: {screen.counted(found['cells'], 'cell')} of later segments taken in")
    for name, what in (
        ("missing", "missing: `privacyplease verify` shows where, for segments that the home knows"),
        ("unreadable", "not as stored: questions that need them fail, for segments that the home knows"),
    ):
        if found[name]:
            screen.note(f"warning: {screen.counted(found[name], 'cell')} {what}")
    for period in found["keyless"]:
        span = f"{period['dataset']} from {period['start']} to {period['end']}"
        screen.note(f"warning: no key for {span}: what was stored of it before is lost; send it again")


def _require_down(home: Home) -> None:
    running = home.running()
    alive = [daemon.name for daemon in running.daemons if daemon.process()] if running else []
    if running and len(alive) == len(running.daemons):
        raise CommandError(
            f"already up: the proxy serves on {running.proxy.address}",
            "stop it with `privacyplease down`, or give another --home",
        )
    if alive:
        raise CommandError(f"half up: only the {alive[0]} still runs", "clear it away with `privacyplease down`")
    home.forget()


def _watch(home: Home, running: Running) -> None:
    """Waits for Ctrl-C, for `down` from elsewhere, or for one of the two to end by itself."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        screen.out().print("stop with Ctrl-C")
        while all(daemon.process() for daemon in running.daemons):
            time.sleep(_GLANCE_S)
    except KeyboardInterrupt:
        screen.note("stopping")
    _stop(home, running)


def _stop(home: Home, running: Running) -> None:
    from privacyplease.cli.local.daemon import last_lines

    if home.running() != running:
        return  # `down` is at it
    dead = [daemon for daemon in running.daemons if not daemon.process()]
    for daemon in running.daemons:
        daemon.stop()
    home.forget()
    if dead:
        raise CommandError(f"the {dead[0].name} ended by itself", last_lines(home.log(dead[0].name)))


def without_password(url: str) -> str:
    """A store's URL as it may be shown.

    >>> without_password("mysql://user:secret@db:3306/cells")
    'mysql://user@db:3306/cells'
    """
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{host}").geturl()


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(up)
