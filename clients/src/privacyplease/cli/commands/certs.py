"""`privacyplease certs`: the certificates by which clients, proxy and storage server know each other."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.target import target

group = typer.Typer(name="certs", no_args_is_help=True)

_COLUMNS = ("name", "identity", "hosts", "issuer", "expires", "days_left", "state")

Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A name or address of the servers besides loopback; repeatable."),
]


@group.callback()
def certs() -> None:
    """Make, renew and show certificates: who may talk to whom."""


@group.command()
def init(context: typer.Context, host: Hosts = None, json: Json = False) -> None:
    """Make the two CAs and the certificates of both servers, the proxy and the operator.

    They lie in `certificates` in the home. `up` does this by itself on first use; do it by hand to name other hosts.

    Example: privacyplease certs init --host proxy.example.org
    """
    _run(context, json, "init", *_hosts(host))


@group.command()
def issue(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who it is for: small letters, digits, '.', '_', '-'.")],
    json: Json = False,
) -> None:
    """Make a client's certificate: a folder of three files to hand to its owner.

    Example: privacyplease certs issue alice
    """
    _run(context, json, "issue", name)


@group.command()
def renew(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which, as `show` names them; else all.")
    ] = None,
    due: Annotated[bool, typer.Option("--due", help="Only what expires within 30 days.")] = False,
    host: Hosts = None,
    json: Json = False,
) -> None:
    """Replace certificates by new ones with new keys. Whatever runs takes them without a restart.

    CAs are not renewed: whoever trusts one has to be told of a new one.

    Example: privacyplease certs renew --due
    """
    _run(context, json, "renew", *(names or ()), *(["--due"] if due else []), *_hosts(host))


@group.command()
def show(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """Show all certificates: whose they are, who issued them, and when they expire.

    Example: privacyplease certs show
    """
    _run(context, json, "show", csv=csv)


def _run(context: typer.Context, json: bool, *arguments: str, csv: bool = False) -> None:
    from privacyplease.cli.local.certificates import certs

    document = certs(target(context).home.certificates, *arguments)
    if written(document, json, csv, _COLUMNS, document["certificates"]):
        return
    if document["certificates"]:
        _show(document)
    else:
        screen.note(f"nothing to do in {document['folder']}")


def _hosts(hosts: list[str] | None) -> list[str]:
    return [word for host in hosts or () for word in ("--host", host)]


def _show(document: dict[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for title in ("certificate", "holder", "issuer", "expires", "days left"):
        table.add_column(title, overflow="fold", no_wrap=title in ("certificate", "expires"))
    for row in document["certificates"]:
        left = f"{row['days_left']:,}" if row["state"] == "valid" else f"{row['days_left']:,}, {row['state']}"
        table.add_row(row["name"], _holder(row), row["issuer"], row["expires"][:10], left)
    screen.out().print(f"in {document['folder']}:")
    screen.out().print(table)


def _holder(row: dict[str, Any]) -> str:
    """Whom the other end knows it as."""
    return row["identity"] or ", ".join(row["hosts"]) or "CA"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group)
