"""`privacyplease audit`: who asked what about whom, and whether anybody has been at the log."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.exits import ExitCode
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Zone, read_instant, read_zone
from privacyplease.cli.target import connect, target
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from privacyplease.client import AuditEntry

group = typer.Typer(name="audit")


@group.callback()
def audit() -> None:
    """Show and verify the audit log: who asked what, and why."""


@group.command()
def show(
    context: typer.Context,
    start: Annotated[str | None, typer.Option("--from", metavar="T", help="Not before: 2024-10-01, -2h.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="Not after.")] = None,
    who: Annotated[str | None, typer.Option(metavar="NAME", help="Only by this caller, or for this person.")] = None,
    rpc: Annotated[
        str | None, typer.Option(metavar="RPC", help="Only this, as PresenceService/FindSessions, or this service.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Only about this device. The log has a pseudonym of it.")
    ] = None,
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show entries of the log, oldest first. They are as they were written; `audit verify` says what they are worth.

    --json prints {"entries": [...]}; what does not apply is null.

    Example: privacyplease audit show --from -1d --who alice
    """
    zone = read_zone(timezone)
    since, until = (
        None if text is None else read_instant(text, zone, option)
        for text, option in ((start, "--from"), (end, "--to"))
    )
    with connect(context) as client:
        entries = client.audit_entries(since, until, who=who, rpc=rpc, device=device)
    told = [document(entry) for entry in entries]
    if not written({"entries": told}, json, csv, _columns(), told):
        for entry in entries:
            screen.out().print(line(entry, zone))


@group.command()
def verify(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the home's files, as of a proxy that does not run.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, metavar="DIR", help="With --offline: the folder of a copy."),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="F", help="With --offline: opens the proxy's keys."),
    ] = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find any line of the log that was edited, removed or reordered. Exits with 1 if there is one.

    --json prints {"lines", "remembered", "findings": [...]}.

    Example: privacyplease audit verify
    """
    if offline:
        from privacyplease.cli.local.audit import verify as verify_files

        found = verify_files(target(context).home.proxy, log, passphrase_file)
    else:
        with connect(context) as client:
            found = asdict(client.verify_audit())
    if not written(found, json, csv):
        _show_verdict(found)
    if found["findings"]:
        raise typer.Exit(ExitCode.FAULT)


def document(entry: AuditEntry) -> dict[str, Any]:
    """An entry as --json prints it."""
    plain = {name: value if value != "" else None for name, value in asdict(entry).items()}
    return {**plain, **{name: _iso(plain[name]) for name in ("at", "start", "end")}}


def _columns() -> tuple[str, ...]:
    from privacyplease.client import AuditEntry

    return tuple(field.name for field in fields(AuditEntry))


def line(entry: AuditEntry, zone: tzinfo) -> str:
    """An entry for people: what applies, in a line."""
    who = f"{entry.who or '-'} for {entry.on_behalf_of}" if entry.on_behalf_of else entry.who or "-"
    more = {
        "data set": entry.dataset,
        "subject": entry.subject,
        "from": _iso(entry.start, zone),
        "to": _iso(entry.end, zone),
        "purpose": entry.purpose and f'"{entry.purpose}"',
        "reason": entry.reason,
        "records": None if entry.records is None else screen.number(entry.records),
        "bytes": None if entry.bytes is None else screen.number(entry.bytes),
    }
    words = [f"{name} {value}" for name, value in more.items() if value]
    head = [str(entry.number), str(_iso(entry.at, zone)), entry.event, who, entry.rpc]
    return screen.printable("  ".join([*filter(None, head), *words]))


def _show_verdict(found: dict[str, Any]) -> None:
    for finding in found["findings"]:
        screen.out().print(screen.printable(finding))
    read = screen.counted(found["lines"], "line")
    if found["findings"]:
        screen.note(f"error: {screen.counted(len(found['findings']), 'finding')} in {read}")
    else:
        screen.out().print(f"{read}: none was edited, removed or reordered")


def _iso(at: datetime | None, zone: tzinfo | None = None) -> str | None:
    return None if at is None else iso(at, zone) if zone else iso(at)


def register(app: typer.Typer) -> None:
    """Adds the group."""
    app.add_typer(group)
