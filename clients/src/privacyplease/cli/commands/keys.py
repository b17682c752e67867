"""`privacyplease keys`: what has a key, and what shall be gone for good."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, To, Zone, read_instant, read_range, read_zone
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised, iso, seconds

if TYPE_CHECKING:
    from privacyplease.client.keys import DatasetKeys, Epoch

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_EPOCHS = ("dataset", "start", "end", "state", "made_at", "destroyed_at", "renewals")

app = typer.Typer(help="What has a key, and what shall be gone for good.")


@app.command("list")
def list_(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Only this data set.")] = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show which periods have a key, and which had one.

    --json prints {"master_key", "datasets": [{"dataset", "retain", "epochs": [{"start", "end", "state", "made_at",
    "destroyed_at", "renewals"}]}]}; retain in seconds, null where there is none.

    Example: privacyplease keys list
    """
    with connect(context) as client:
        found = client.keys(dataset)
    datasets = [_document(keys) for keys in found.datasets]
    epochs = [{"dataset": keys["dataset"], **epoch} for keys in datasets for epoch in keys["epochs"]]
    if written({"master_key": found.master_key, "datasets": datasets}, json, csv, _EPOCHS, epochs):
        return
    out = screen.out()
    out.print(f"master key  {screen.printable(found.master_key)}")
    for keys in found.datasets:
        kept = f"kept for {humanised(keys.retain)}" if keys.retain else "kept until destroyed"
        out.print(f"{keys.dataset}: {screen.counted(len(keys.epochs), 'period')}, {kept}")
        for epoch in keys.epochs:
            out.print(f"  {_line(epoch)}")


@app.command("rotate-master")
def rotate_master(
    context: typer.Context,
    to: Annotated[
        str, typer.Option("--to", metavar="CHOICE", help="Who holds it: passphrase, pkcs11:…, vault:… or aws-kms:….")
    ] = "passphrase",
    new_passphrase_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, metavar="F", help="Holds the new passphrase.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put a new master key in force. It wraps all keys anew and touches no record.

    The new passphrase comes from --new-passphrase-file or PRIVACYPLEASE_NEW_PASSPHRASE. Without either, the proxy makes
    one up and keeps it in its home. PINs and tokens come from the proxy's own environment.

    --json prints {"master_key", "keys"}.

    Example: privacyplease keys rotate-master --new-passphrase-file new.txt
    """
    given = _passphrase(new_passphrase_file, "PRIVACYPLEASE_NEW_PASSPHRASE") if to == "passphrase" else None
    if not yes:
        screen.note("From then on the proxy starts with the new master key alone, and backups need the old one.")
        typer.confirm("Rotate the master key?", abort=True, err=True)
    with connect(context) as client:
        keys = client.rotate_master(to, passphrase=given or "")
    if json:
        screen.print_json({"master_key": to, "keys": keys})
    else:
        screen.out().print(f"master key  {screen.printable(to)}, {screen.counted(keys, 'key')} wrapped anew")


@app.command("rotate-epoch")
def rotate_epoch(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The data set, as wifi.")],
    epoch: Annotated[str, typer.Option("--epoch", metavar="T", help="An instant in the period: 2024-07-01, now.")],
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Renew the key of one period, which may have leaked. Its records are sealed again, the old key is destroyed.

    Answers stay right meanwhile, and records may come in. What is cut short is finished by the proxy.

    --json prints {"epoch": {"start", "end", "state", "made_at", "destroyed_at", "renewals"}, "records"}.

    Example: privacyplease keys rotate-epoch wifi --epoch 2024-07-01
    """
    at = read_instant(epoch, read_zone(timezone), "--epoch")
    with connect(context) as client:
        done = client.rotate_epoch(dataset, at)
    if json:
        screen.print_json({"epoch": _epoch(done.epoch), "records": done.records})
    else:
        screen.out().print(f"{_line(done.epoch)}; {screen.counted(done.records, 'record')} sealed again")


@app.command()
def export(
    context: typer.Context,
    start: From,
    end: To,
    out: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, metavar="FILE", help="Where to write it.")],
    dataset: Dataset = "wifi",
    export_passphrase_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="F", help="Holds the passphrase of the new file."),
    ] = None,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Make a keyring that can count people in an interval. In that as of now, and no more.

    Its passphrase comes from --export-passphrase-file or PRIVACYPLEASE_EXPORT_PASSPHRASE. A proxy counts with it:
    `python -m privacyplease.proxy --keyring FILE …` (docs/KEYS.md). It opens whole periods: those it names. Once
    the interval is compacted, a new one is due.

    --json prints {"file", "epochs": [{"start", "end", "state", "made_at", "destroyed_at", "renewals"}]}.

    Example: privacyplease keys export --from 2024-07-01 --to 2024-08-01 -o july.keyring
    """
    span = read_range(start, end, timezone)
    passphrase = _passphrase(export_passphrase_file, "PRIVACYPLEASE_EXPORT_PASSPHRASE")
    if passphrase is None:
        raise typer.BadParameter("expected --export-passphrase-file or PRIVACYPLEASE_EXPORT_PASSPHRASE")
    if out.exists():
        raise typer.BadParameter(f"{out} exists already and is not overwritten")
    with connect(context) as client:
        made = client.export_keyring(span.start, span.end, passphrase=passphrase, dataset=dataset)
    made.save(out)
    if json:
        screen.print_json({"file": str(out), "epochs": [_epoch(epoch) for epoch in made.epochs]})
        return
    screen.out().print(f"{screen.printable(str(out))} opens who was where of {dataset} in {_periods(made.epochs)}")
    for epoch in made.epochs:
        screen.out().print(f"  {iso(epoch.start)} … {iso(epoch.end)}")


@app.command()
def destroy(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The data set, as wifi.")],
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="T", help="Every period that has ended by then: 2024-10-01, -180d."),
    ] = None,
    epoch: Annotated[
        str | None, typer.Option("--epoch", metavar="T", help="The period that this instant lies in.")
    ] = None,
    yes: Yes = False,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Erase periods for good. Their keys are destroyed and their cells deleted: nobody can take that back.

    A period is erased as a whole. Records that come late for it are rejected from then on.

    --json prints {"epochs": [{"start", "end", "state", "made_at", "destroyed_at", "renewals"}], "cells"}.

    Example: privacyplease keys destroy wifi --before -180d
    """
    if (before is None) == (epoch is None):
        raise typer.BadParameter("expected either --before or --epoch")
    zone = read_zone(timezone)
    by = None if before is None else read_instant(before, zone, "--before")
    at = None if epoch is None else read_instant(epoch, zone, "--epoch")
    with connect(context) as client:
        doomed = client.destroy_epochs(dataset, before=by, containing=at, dry_run=True).epochs
        if doomed and not yes:
            _ask(dataset, doomed)
        done = client.destroy_epochs(dataset, before=by, containing=at)
    if json:
        screen.print_json({"epochs": [_epoch(epoch) for epoch in done.epochs], "cells": done.cells})
    else:
        what = f"{screen.counted(len(done.epochs), 'period')} of {dataset}, {screen.counted(done.cells, 'cell')}"
        screen.out().print(f"destroyed: {what}" if done.epochs else "nothing to destroy")


def _passphrase(file: Path | None, variable: str) -> str | None:
    given = file.read_text().strip() if file else os.environ.get(variable)
    if given == "":
        raise typer.BadParameter("the new passphrase is empty")
    return given


def _periods(epochs: tuple[Epoch, ...]) -> str:
    return screen.counted(len(epochs), "period")


def _ask(dataset: str, doomed: tuple[Epoch, ...]) -> None:
    """On stderr: the answer alone goes to stdout."""
    screen.note(f"This erases all records of {dataset} that start in:")
    for epoch in doomed:
        screen.note(f"  {iso(epoch.start)} … {iso(epoch.end)}")
    typer.confirm("Destroy them for good?", abort=True, err=True)


def _line(epoch: Epoch) -> str:
    span = f"{iso(epoch.start)} … {iso(epoch.end)}  {epoch.state.value}"
    made = f", made {iso(epoch.made_at)}" if epoch.made_at else ""
    made += f", renewed {screen.counted(epoch.renewals, 'time')}" if epoch.renewals else ""
    return span + (f" {iso(epoch.destroyed_at)}" if epoch.destroyed_at else made)


def _document(keys: DatasetKeys) -> dict[str, Any]:
    retain: timedelta | None = keys.retain
    return {
        "dataset": keys.dataset,
        "retain": None if retain is None else seconds(retain),
        "epochs": [_epoch(epoch) for epoch in keys.epochs],
    }


def _epoch(epoch: Epoch) -> dict[str, Any]:
    return {
        "start": iso(epoch.start),
        "end": iso(epoch.end),
        "state": epoch.state.value,
        "made_at": iso(epoch.made_at) if epoch.made_at else None,
        "destroyed_at": iso(epoch.destroyed_at) if epoch.destroyed_at else None,
        "renewals": epoch.renewals,
    }


def register(cli: typer.Typer) -> None:
    """Adds the group of commands."""
    cli.add_typer(app, name="keys")
