"""`privacyplease audit`: who asked what about whom, and whether the log was tampered with."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect, connection_options
from privacyplease.cli.exit_codes import ExitCode
from privacyplease.cli.local.proxy_commands import verify_audit_log
from privacyplease.cli.option_values import read_optional_instant, read_zone
from privacyplease.cli.options import Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from privacyplease.client import AuditEntry

app = typer.Typer()


@app.callback()
def audit() -> None:
    """Show and verify the audit log: who asked what, and why."""


@app.command()
def show(
    context: typer.Context,
    start: Annotated[str | None, typer.Option("--from", metavar="T", help="Not before then: 2024-10-01, -2h.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="T", help="Not after then.")] = None,
    who: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only by this caller, or on behalf of this person.")
    ] = None,
    rpc: Annotated[
        str | None, typer.Option(metavar="RPC", help="Only this call or service: PresenceService/FindSessions.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEVICE", help="Only about this device, which the log has as a pseudonym.")
    ] = None,
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show entries of the log, oldest first.

    This does not check them for tampering: `audit verify` does.

    --json prints {"entries": [...]}; fields that do not apply are null.

    Example: privacyplease audit show --from -1d --who alice
    """
    zone = read_zone(timezone)
    since, until = read_optional_instant(start, zone, "--from"), read_optional_instant(end, zone, "--to")
    with connect(context) as client:
        entries = client.audit_entries(since, until, who=who, rpc=rpc, device=device)
    rows = [as_document(entry) for entry in entries]
    if not printed_for_programs({"entries": rows}, json, csv, _columns(), rows):
        for entry in entries:
            screen.out().print(line(entry, zone))


@app.command()
def verify(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the files of the home; the proxy need not run.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(
            exists=True, file_okay=False, metavar="DIR", help="With --offline: a folder with a copy of the log."
        ),
    ] = None,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, metavar="F", help="With --offline: holds the passphrase of the proxy's keys."
        ),
    ] = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Find lines of the log that were edited, removed or reordered.

    Exits with 1 if there are any.

    Files may be missing at the beginning: it says from which line on it verified.

    --json prints {"lines", "first", "remembered", "findings": [...]}.

    Example: privacyplease audit verify
    """
    if offline:
        verdict = verify_audit_log(connection_options(context).home.proxy, log, passphrase_file)
    else:
        with connect(context) as client:
            verdict = asdict(client.verify_audit())
    if not printed_for_programs(verdict, json, csv):
        show_verdict(verdict)
    if verdict["findings"]:
        raise typer.Exit(ExitCode.FAULT)


def as_document(entry: AuditEntry) -> dict[str, Any]:
    """An entry as --json prints it."""
    plain = {name: value if value != "" else None for name, value in asdict(entry).items()}
    return {**plain, **{name: _iso(plain[name]) for name in ("at", "start", "end", "first", "last")}}


def _columns() -> tuple[str, ...]:
    from privacyplease.client import AuditEntry

    return tuple(field.name for field in fields(AuditEntry))


def line(entry: AuditEntry, zone: tzinfo) -> str:
    """An entry for people: the fields that apply, in one line."""
    who = f"{entry.who or '-'} for {entry.on_behalf_of}" if entry.on_behalf_of else entry.who or "-"
    details = {
        "data set": entry.dataset,
        "subject": entry.subject,
        "from": _iso(entry.start, zone),
        "to": _iso(entry.end, zone),
        "purpose": entry.purpose and f'"{entry.purpose}"',
        "reason": entry.reason,
        "times": None if entry.count is None else screen.number(entry.count),
        "first": _iso(entry.first, zone),
        "last": _iso(entry.last, zone),
        "records": None if entry.records is None else screen.number(entry.records),
        "bytes": None if entry.bytes is None else screen.number(entry.bytes),
    }
    words = [f"{name} {value}" for name, value in details.items() if value]
    head = [str(entry.number), str(_iso(entry.at, zone)), entry.event, who, entry.rpc]
    return screen.printable("  ".join([*filter(None, head), *words]))


def show_verdict(verdict: dict[str, Any]) -> None:
    """Prints a verdict for people."""
    for finding in verdict["findings"]:
        screen.out().print(screen.printable(finding))
    lines = screen.counted(verdict["lines"], "line")
    if verdict["first"] > 1:
        lines += f" from line {screen.number(verdict['first'])} on, with no file from before"
    if verdict["findings"]:
        screen.note(f"error: {screen.counted(len(verdict['findings']), 'finding')} in {lines}")
    else:
        screen.out().print(f"{lines}: none was edited, removed or reordered")


def _iso(at: datetime | None, zone: tzinfo | None = None) -> str | None:
    return None if at is None else iso(at, zone) if zone else iso(at)
