"""`privacyplease approvals`: what waits for a second person."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from privacyplease.client import Approval

app = typer.Typer()

_COLUMNS = ("number", "state", "rpc", "request", "asked_by", "asked_at", "expires_at", "decided_by", "decided_at")

Number = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="The approval's number.")]


@app.callback()
def approvals() -> None:
    """Grant or deny what others ask for."""


@app.command("list")
def list_(context: typer.Context, json: Json = False, csv: Csv = False) -> None:
    """List approvals of the last 30 days, newest first: all of them for an approver, for others their own.

    --json prints {"approvals": [...]}.

    Example: privacyplease approvals list
    """
    with connect(context) as client:
        documents = [_document(approval) for approval in client.approvals()]
    if not printed_for_programs({"approvals": documents}, json, csv, _COLUMNS, documents):
        for document in documents:
            screen.out().print(_line(document))


@app.command()
def grant(context: typer.Context, number: Number, json: Json = False) -> None:
    """Grant what somebody else has asked for. They then have an hour to run their command again.

    --json prints the approval.

    Example: privacyplease approvals grant 7
    """
    _decide(context, number, json, grant=True)


@app.command()
def deny(context: typer.Context, number: Number, json: Json = False) -> None:
    """Deny what somebody else has asked for.

    --json prints the approval.

    Example: privacyplease approvals deny 7
    """
    _decide(context, number, json, grant=False)


def _decide(context: typer.Context, number: int, json: bool, *, grant: bool) -> None:
    with connect(context) as client:
        document = _document(client.decide(number, grant=grant))
    if json:
        screen.print_json(document)
    else:
        screen.out().print(_line(document))


def _document(approval: Approval) -> dict[str, Any]:
    times = {name: iso(getattr(approval, name)) for name in ("asked_at", "expires_at")}
    decided_at = iso(approval.decided_at) if approval.decided_at else None
    return {**asdict(approval), **times, "state": approval.state.value, "decided_at": decided_at}


def _line(document: dict[str, Any]) -> str:
    asked = f"{document['number']}  {document['state']}  {document['rpc']}  {document['request'] or '-'}"
    by = f"asked by {document['asked_by']} {document['asked_at']}"
    decided = f", decided by {document['decided_by']} {document['decided_at']}" if document["decided_by"] else ""
    return screen.printable(f"{asked}  {by}{decided}, until {document['expires_at']}")
