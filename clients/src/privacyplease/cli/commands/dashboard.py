"""`privacyplease dashboard`: serves the dashboard to browsers."""

from __future__ import annotations

import secrets
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli.connection import ConnectionOptions, connection_options
from privacyplease.cli.failures import CommandError
from privacyplease.cli.local.proxy_commands import certificates
from privacyplease.cli.option_values import read_clock, read_zone
from privacyplease.cli.options import AsOf, Speed, Zone
from privacyplease.cli.output import screen

if TYPE_CHECKING:
    from privacyplease.client import Client
    from privacyplease.dashboard.passwords import PasswordFile
    from privacyplease.dashboard.serving import Server

IDENTITY = "dashboard"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_OPERATOR = "operator"
_GRACE_S = 5.0
_REFRESH, _LEAST_REFRESH = timedelta(seconds=30), timedelta(seconds=5)

app = typer.Typer(invoke_without_command=True)

Passwords = Annotated[
    Path | None,
    typer.Option("--passwords", metavar="FILE", help="Who may log in; default: `dashboard/passwords` in the home."),
]


@app.callback()
def dashboard(
    context: typer.Context,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to serve; port 0 lets the system choose.")
    ] = "127.0.0.1:8050",
    tls: Annotated[
        Path | None,
        typer.Option(
            "--tls",
            exists=True,
            file_okay=False,
            metavar="DIR",
            help="Folder of tls.crt and tls.key to show browsers, and ca.crt, the CA of people who log in with a "
            "certificate.",
        ),
    ] = None,
    passwords: Passwords = None,
    as_of: AsOf = None,
    speed: Speed = 1,
    timezone: Zone = "UTC",
) -> None:
    """Serve the dashboard.

    It shows people now, occupancy, dwell, presence, bikes, and the state of the system.

    It asks the proxy on behalf of the person who is logged in, with a certificate of its own: that of `dashboard` in
    the home, which is made on first use, or the one that --certificates names.

    Without --tls it serves only on loopback.

    Example: privacyplease dashboard
    """
    if context.invoked_subcommand is not None:
        return
    zone, options, (host, port) = read_zone(timezone), connection_options(context), _address(listen, tls)
    clock = read_clock(as_of, speed, timezone)
    _require_installed()
    from privacyplease.dashboard import DashboardSettings, create_app
    from privacyplease.dashboard.serving import serve

    file = _password_file(options, passwords)
    with _client(options) as client:
        _require_delegation(client)
        _make_first_password(options, file)
        settings = DashboardSettings(file, zone, clock, _refresh(speed), secure=tls is not None)
        server = serve(create_app(client, settings), host, port, tls)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        bound = f"{host}:{server.bind_addr[1]}"
        screen.out().print(f"dashboard  {'https' if tls else 'http'}://{bound}/  stop with Ctrl-C")
        try:
            server.serve()
        except KeyboardInterrupt:
            screen.note("stopping")
        finally:
            for name in (signal.SIGINT, signal.SIGTERM):
                signal.signal(name, signal.SIG_DFL)  # a second Ctrl-C does not wait for requests that still run
            _stop(server, client)


def _stop(server: Server, client: Client) -> None:
    """Lets running requests end, but waits only briefly for a proxy that does not answer."""
    timer = threading.Timer(_GRACE_S, client.close)
    timer.start()
    server.stop()
    timer.cancel()


@app.command()
def passwd(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person: a name that has a table in the policy.")],
    passwords: Passwords = None,
) -> None:
    """Set the password of a person.

    It is prompted for on a terminal, else read from standard input.

    Example: privacyplease dashboard passwd alice
    """
    _require_installed()
    if sys.stdin.isatty():
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    file = _password_file(connection_options(context), passwords)
    try:
        file.set(name, password)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    screen.out().print(f"{name} may log in: {file.path}")


def _refresh(speed: float) -> timedelta:
    """How often to refresh live pages when time passes this fast, within what the proxy can bear.

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
        raise typer.BadParameter(
            "expected --tls: passwords must not leave this machine in plaintext", param_hint="--listen"
        )
    return host, int(port)


def _require_installed() -> None:
    try:
        import argon2  # noqa: F401
        import flask  # noqa: F401
    except ImportError:
        raise CommandError("the dashboard is not installed here", "pip install 'privacyplease[dashboard]'") from None


def _password_file(options: ConnectionOptions, file: Path | None) -> PasswordFile:
    from privacyplease.dashboard.passwords import PasswordFile

    return PasswordFile(file or options.home.path / "dashboard" / "passwords")


def _client(options: ConnectionOptions) -> Client:
    from privacyplease.client import Client

    if options.plaintext():
        raise CommandError(
            "the dashboard needs a certificate to ask on behalf of the person who is logged in, "
            "but the proxy uses plaintext",
            "start the proxy again without --insecure",
        )
    return Client(options.address(), certificates=options.certificates or _own_certificate(options))


def _own_certificate(options: ConnectionOptions) -> Path:
    """The certificate of the dashboard in the home; made on first use."""
    folder = options.home.certificates / "clients" / IDENTITY
    if not folder.is_dir():
        options.certificate()  # fails if there are no certificates at all
        certificates(options.home.certificates, "issue", IDENTITY)
        screen.out().print(f"certificate made: {folder}")
    return folder


def _require_delegation(client: Client) -> None:
    access = client.whoami()
    if not access.may_act_for:
        raise CommandError(
            f"the policy does not let {access.name} ask on behalf of others",
            "add to policy.toml in the proxy's home:\n\n"
            f"[clients.{access.name}]\n"
            'roles = ["count", "presence", "self", "stations", "admin", "audit"]\nmay_act_for = ["*"]',
        )


def _make_first_password(options: ConnectionOptions, file: PasswordFile) -> None:
    """Makes a password for the operator if nobody has one yet, and shows it, once."""
    if not file.names() and options.home.running() is not None:
        password = secrets.token_urlsafe(15)
        file.set(_OPERATOR, password)
        screen.out().print(
            f"log in as {_OPERATOR} with the password {password}; add others with `privacyplease dashboard passwd NAME`"
        )
