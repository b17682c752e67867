"""`privacyplease dashboard`: a web server for people."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.clocks import AsOf, Speed, read_clock
from privacyplease.cli.failures import CommandError
from privacyplease.cli.options import Zone, read_zone
from privacyplease.cli.target import Target, target

if TYPE_CHECKING:
    from privacyplease.client import Client
    from privacyplease.dashboard.passwords import PasswordFile
    from privacyplease.dashboard.serving import Server

IDENTITY = "dashboard"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OPERATOR = "operator"
_GRACE_S = 5.0
_REFRESH, _LEAST_REFRESH = timedelta(seconds=30), timedelta(seconds=5)

group = typer.Typer(name="dashboard", invoke_without_command=True)

Passwords = Annotated[
    Path | None,
    typer.Option("--passwords", metavar="FILE", help="Who may log in; else `dashboard/passwords` in the home."),
]


@group.callback()
def dashboard(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve; port 0: the system chooses.")
    ] = "127.0.0.1:8050",
    tls: Annotated[
        Path | None,
        typer.Option(
            "--tls",
            exists=True,
            file_okay=False,
            metavar="DIR",
            help="Holds tls.crt and tls.key to show browsers, and ca.crt, the CA of those that log in by certificate.",
        ),
    ] = None,
    passwords: Passwords = None,
    as_of: AsOf = None,
    speed: Speed = 1,
    timezone: Zone = "UTC",
) -> None:
    """Serve the dashboard. People now, occupancy, dwell, presence, bikes, and how the system is doing.

    It asks the proxy for whoever is logged in, by a certificate of its own: that of `dashboard` in the home, which is
    made on first use, or the one that --certificates names.

    Without --tls it serves on this machine alone.

    Example: privacyplease dashboard
    """
    if context.invoked_subcommand is not None:
        return
    zone, asked, (host, port) = read_zone(timezone), target(context), _address(listen, tls)
    clock = read_clock(as_of, speed, timezone)
    _require_installed()
    from privacyplease.dashboard import DashboardSettings, create_app
    from privacyplease.dashboard.serving import serve

    file = _passwords(asked, passwords)
    with _client(asked) as client:
        _require_identity(client)
        _first_password(asked, file)
        settings = DashboardSettings(file, zone, clock, _refresh(speed), secure=tls is not None)
        server = serve(create_app(client, settings), host, port, tls)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        bound = f"{host}:{server.bind_addr[1]}"
        screen.out().print(f"dashboard  {'https' if tls else 'http'}://{bound}/  stop with Ctrl-C")
        sys.stdout.flush()
        try:
            server.serve()
        except KeyboardInterrupt:
            screen.note("stopping")
        finally:
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, signal.SIG_DFL)  # whoever asks again does not want to wait for what still runs
            _stop(server, client)


def _stop(server: Server, client: Client) -> None:
    """Lets what runs end, but does not wait for long for a proxy that does not answer."""
    impatience = threading.Timer(_GRACE_S, client.close)
    impatience.start()
    server.stop()
    impatience.cancel()


@group.command()
def passwd(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who: a name that the policy has a table for.")],
    passwords: Passwords = None,
) -> None:
    """Give a person a password. It is asked for on a terminal, or read from standard input.

    Example: privacyplease dashboard passwd alice
    """
    _require_installed()
    if sys.stdin.isatty():
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    file = _passwords(target(context), passwords)
    try:
        file.set(name, password)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    screen.out().print(f"{name} may log in: {file.path}")


def _refresh(speed: float) -> timedelta:
    """How often to look at what is live, where time passes so fast; not so often that it weighs on the proxy.

    >>> _refresh(1) / timedelta(seconds=1), _refresh(60) / timedelta(seconds=1)
    (30.0, 5.0)
    """
    return max(_REFRESH / max(speed, 1), _LEAST_REFRESH)


def _address(listen: str, tls: Path | None) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter(f"expected HOST:PORT, got {listen!r}", param_hint="--listen")
    host = host.strip("[]")
    if tls is None and host not in _LOOPBACK:
        raise typer.BadParameter("passwords do not leave this machine in plaintext: give --tls", param_hint="--listen")
    return host, int(port)


def _require_installed() -> None:
    try:
        import argon2  # noqa: F401
        import flask  # noqa: F401
    except ImportError:
        raise CommandError("the dashboard is not installed here", "pip install 'privacyplease[dashboard]'") from None


def _passwords(asked: Target, file: Path | None) -> PasswordFile:
    from privacyplease.dashboard.passwords import PasswordFile

    return PasswordFile(file or asked.home.path / "dashboard" / "passwords")


def _client(asked: Target) -> Client:
    from privacyplease.client import Client

    if asked.plaintext():
        raise CommandError(
            "the dashboard asks for whoever is logged in, which takes a certificate: the proxy speaks plaintext",
            "start it again without --insecure",
        )
    return Client(asked.address(), certificates=asked.certificates or _own_certificate(asked))


def _own_certificate(asked: Target) -> Path:
    """The certificate of the dashboard in the home; made on first use."""
    from privacyplease.cli.local.certificates import certs

    folder = asked.home.certificates / "clients" / IDENTITY
    if not folder.is_dir():
        asked.certificate()  # or there is no home to make it in
        certs(asked.home.certificates, "issue", IDENTITY)
        screen.out().print(f"certificate made: {folder}")
    return folder


def _require_identity(client: Client) -> None:
    access = client.whoami()
    if not access.may_act_for:
        raise CommandError(
            f"the policy does not let {access.name} ask for others",
            "add to policy.toml in the proxy's home:\n\n"
            f"[clients.{access.name}]\n"
            'roles = ["count", "presence", "self", "stations", "admin"]\nmay_act_for = ["*"]',
        )


def _first_password(asked: Target, file: PasswordFile) -> None:
    """Lets the operator in where nobody has a password yet; it is shown this once."""
    if not file.names() and asked.home.running() is not None:
        password = secrets.token_urlsafe(15)
        file.set(_OPERATOR, password)
        screen.out().print(
            f"log in as {_OPERATOR} with the password {password}; others: `privacyplease dashboard passwd NAME`"
        )


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group)
