"""`privacyplease certs`: the certificates by which clients, proxy and storage server identify each other."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from privacyplease.cli.connection import connection_options
from privacyplease.cli.local.proxy_commands import certificates
from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs

app = typer.Typer()

_COLUMNS = ("name", "identity", "hosts", "issuer", "expires", "days_left", "fingerprint", "state")
_HEADINGS = ("certificate", "holder", "issuer", "expires", "days left")

# The clients of the policy that the proxy creates on first use.
_INITIALLY_KNOWN = frozenset({"operator", "dashboard"})

Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host", metavar="HOST", help="A name or address of the servers, in addition to loopback; repeatable."
    ),
]


@app.callback()
def certs() -> None:
    """Make, renew and show certificates."""


@app.command()
def init(context: typer.Context, host: Hosts = None, json: Json = False) -> None:
    """Make the CAs, and certificates for both servers and the operator.

    They are stored in `certificates` in the home. `up` does this on first use; use this command to name other hosts.

    Example: privacyplease certs init --host proxy.example.org
    """
    _run(context, json, "init", *_hosts(host))


@app.command()
def issue(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Who it is for: lowercase letters, digits, '.', '_', '-'.")
    ],
    json: Json = False,
) -> None:
    """Make a client's certificate.

    It is a folder of three files, for its owner.

    Example: privacyplease certs issue alice
    """
    _run(context, json, "issue", name)
    policy = connection_options(context).home.policy
    if not _is_known(name, policy):
        screen.note(f"hint: {name} may ask nothing yet: add a table [{_table(name)}] to {policy}")


@app.command()
def renew(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names as `show` prints them; default: all.")
    ] = None,
    due: Annotated[bool, typer.Option("--due", help="Only those that expire within 30 days.")] = False,
    host: Hosts = None,
    json: Json = False,
) -> None:
    """Replace certificates with new ones that have new keys.

    Running servers and clients load them without a restart. CAs are not renewed, since a new CA must first be
    distributed to everyone who trusts the old one.

    Example: privacyplease certs renew --due
    """
    _run(context, json, "renew", *(names or ()), *(["--due"] if due else []), *_hosts(host))


@app.command()
def show(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """Show all certificates and when they expire.

    Example: privacyplease certs show
    """
    _run(context, json, "show", csv=csv)


def _run(context: typer.Context, json: bool, *arguments: str, csv: bool = False) -> None:
    document = certificates(connection_options(context).home.certificates, *arguments)
    if printed_for_programs(document, json, csv, _COLUMNS, document["certificates"]):
        return
    if document["certificates"]:
        _show(document)
    else:
        screen.note(f"nothing to do in {document['folder']}")


def _is_known(name: str, policy: Path) -> bool:
    """Whether the policy has a table for a client; True if it cannot be read, which the proxy reports."""
    try:
        return name in tomllib.loads(policy.read_text(encoding="utf-8")).get("clients", {})
    except FileNotFoundError:
        return name in _INITIALLY_KNOWN
    except (OSError, ValueError, TypeError):
        return True


def _table(name: str) -> str:
    """The header of a client's table; in TOML a name with a dot is quoted."""
    return f'clients."{name}"' if "." in name else f"clients.{name}"


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
    """Who or what the certificate identifies."""
    return (row["identity"] or "").removeprefix("privacyplease://") or ", ".join(row["hosts"]) or "CA"
