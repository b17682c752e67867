"""`privacyplease certs`: the certificates by which clients, proxy and storage server know each other."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.target import target

group = typer.Typer(name="certs")

_COLUMNS = ("name", "identity", "hosts", "issuer", "expires", "days_left", "state")
_HEADINGS = ("certificate", "holder", "issuer", "expires", "days left")

Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="A name or address of the servers besides loopback; repeatable."),
]


@group.callback()
def certs() -> None:
    """Make, renew and show certificates: who may talk to whom."""


@group.command()
def init(context: typer.Context, host: Hosts = None, json: Json = False) -> None:
    """Make the two CAs and the first certificates. Of both servers, the proxy and the operator.

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
    """Make a client's certificate. It is a folder of three files, to hand to its owner.

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
    """Show whose certificates there are, and when they expire.

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
    out = screen.out()
    out.print(f"in {document['folder']}:")
    rows = [_row(certificate) for certificate in document["certificates"]]
    for line in aligned(_HEADINGS, rows, out.width, elastic="holder"):
        out.print(line)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    left = f"{row['days_left']:,}" if row["state"] == "valid" else f"{row['days_left']:,}, {row['state']}"
    issuer = row["issuer"].removeprefix("privacyplease ")
    return row["name"], _holder(row), issuer, row["expires"][:10], left


def _holder(row: dict[str, Any]) -> str:
    """Whom the other end knows it as."""
    return (row["identity"] or "").removeprefix("privacyplease://") or ", ".join(row["hosts"]) or "CA"


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group)
