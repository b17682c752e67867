"""`privacyplease keys`: lists, renews, exports and destroys keys."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_instant, read_optional_instant, read_range, read_zone
from privacyplease.cli.options import Dataset, From, OnlyDataset, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import humanised, iso, seconds

if TYPE_CHECKING:
    from privacyplease.client.keys import DatasetKeys, Epoch

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]

_EPOCHS = ("dataset", "start", "end", "state", "made_at", "destroyed_at", "renewals")

app = typer.Typer(help="List, renew, export and destroy keys.")


@app.command("list")
def list_(
    context: typer.Context,
    dataset: OnlyDataset = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Show which periods have a key, and which had one that was destroyed.

    --json prints {"master_key", "datasets": [{"dataset", "retain", "epochs": [{"start", "end", "state", "made_at",
    "destroyed_at", "renewals"}]}]}; "retain" in seconds, null without a limit.

    Example: privacyplease keys list
    """
    with connect(context) as client:
        keyring = client.keys(dataset)
    datasets = [_as_document(keys) for keys in keyring.datasets]
    epochs = [{"dataset": keys["dataset"], **epoch} for keys in datasets for epoch in keys["epochs"]]
    if printed_for_programs({"master_key": keyring.master_key, "datasets": datasets}, json, csv, _EPOCHS, epochs):
        return
    out = screen.out()
    out.print(f"master key  {screen.printable(keyring.master_key)}")
    for keys in keyring.datasets:
        kept = f"kept for {humanised(keys.retain)}" if keys.retain else "kept until destroyed"
        out.print(f"{keys.dataset}: {screen.counted(len(keys.epochs), 'period')}, {kept}")
        for epoch in keys.epochs:
            out.print(f"  {_line(epoch)}")


@app.command("rotate-master")
def rotate_master(
    context: typer.Context,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="NAME",
            help="What holds it: passphrase, or an entry of the proxy's allowed-master-keys.toml.",
        ),
    ] = "passphrase",
    new_passphrase_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, metavar="F", help="Holds the new passphrase.")
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Replace the master key.

    All keys are wrapped again under the new one; records are not touched.

    The new passphrase comes from --new-passphrase-file or PRIVACYPLEASE_NEW_PASSPHRASE. Without either, the proxy
    generates one and keeps it in its home. PINs and tokens come from the proxy's own environment.

    --json prints {"master_key", "keys"}.

    Example: privacyplease keys rotate-master --new-passphrase-file new.txt
    """
    passphrase = _passphrase(new_passphrase_file, "PRIVACYPLEASE_NEW_PASSPHRASE") if to == "passphrase" else None
    if not yes:
        screen.note("The proxy will then start only with the new master key; earlier backups still need the old one.")
        typer.confirm("Rotate the master key?", abort=True, err=True)
    with connect(context) as client:
        keys = client.rotate_master(to, passphrase=passphrase or "")
    if json:
        screen.print_json({"master_key": to, "keys": keys})
    else:
        screen.out().print(f"master key  {screen.printable(to)}, {screen.counted(keys, 'key')} wrapped again")


@app.command("rotate-epoch")
def rotate_epoch(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The data set, e.g. wifi.")],
    epoch: Annotated[str, typer.Option("--epoch", metavar="T", help="An instant in the period: 2024-07-01, now.")],
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Renew the key of one period, for example because it may have leaked.

    The records of the period are sealed again, and the old key is destroyed. Meanwhile answers stay correct and records
    may be ingested. If this is interrupted, the proxy completes it.

    --json prints {"epoch": {"start", "end", "state", "made_at", "destroyed_at", "renewals"}, "records"}.

    Example: privacyplease keys rotate-epoch wifi --epoch 2024-07-01
    """
    instant = read_instant(epoch, read_zone(timezone), "--epoch")
    with connect(context) as client:
        renewed = client.rotate_epoch(dataset, instant)
    if json:
        screen.print_json({"epoch": _epoch(renewed.epoch), "records": renewed.records})
    else:
        screen.out().print(f"{_line(renewed.epoch)}; {screen.counted(renewed.records, 'record')} sealed again")


@app.command()
def export(
    context: typer.Context,
    start: From,
    end: To,
    file: Annotated[Path, typer.Option("--output", "-o", dir_okay=False, metavar="FILE", help="Where to write it.")],
    dataset: Dataset = "wifi",
    export_passphrase_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="F", help="Holds the passphrase of the new file."),
    ] = None,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Export a keyring that can count people in an interval, and nothing else.

    It covers the interval as it is stored now. Its passphrase comes from --export-passphrase-file or
    PRIVACYPLEASE_EXPORT_PASSPHRASE. A proxy counts with it: `python -m privacyplease.proxy --keyring FILE …`
    (docs/KEYS.md). It opens whole periods, which the command lists. After the interval has been compacted, export
    a new one.

    --json prints {"file", "epochs": [{"start", "end", "state", "made_at", "destroyed_at", "renewals"}]}.

    Example: privacyplease keys export --from 2024-07-01 --to 2024-08-01 -o july.keyring
    """
    span = read_range(start, end, timezone)
    passphrase = _passphrase(export_passphrase_file, "PRIVACYPLEASE_EXPORT_PASSPHRASE")
    if passphrase is None:
        raise typer.BadParameter("expected --export-passphrase-file or PRIVACYPLEASE_EXPORT_PASSPHRASE")
    if file.exists():
        raise typer.BadParameter(f"{file} already exists and is not overwritten")
    with connect(context) as client:
        keyring = client.export_keyring(span.start, span.end, passphrase=passphrase, dataset=dataset)
    keyring.save(file)
    if json:
        screen.print_json({"file": str(file), "epochs": [_epoch(epoch) for epoch in keyring.epochs]})
        return
    periods = screen.counted(len(keyring.epochs), "period")
    screen.out().print(f"{screen.printable(str(file))} opens who was where in {periods} of {dataset}:")
    for epoch in keyring.epochs:
        screen.out().print(f"  {iso(epoch.start)} … {iso(epoch.end)}")


@app.command()
def destroy(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="The data set, e.g. wifi.")],
    before: Annotated[
        str | None,
        typer.Option("--before", metavar="T", help="All periods that have ended by then: 2024-10-01, -180d."),
    ] = None,
    epoch: Annotated[str | None, typer.Option("--epoch", metavar="T", help="The period of this instant.")] = None,
    yes: Yes = False,
    timezone: Zone = "UTC",
    json: Json = False,
) -> None:
    """Erase whole periods permanently.

    Their keys are destroyed and their cells deleted; this cannot be undone. Records that arrive for them later are
    rejected.

    --json prints {"epochs": [{"start", "end", "state", "made_at", "destroyed_at", "renewals"}], "cells"}.

    Example: privacyplease keys destroy wifi --before -180d
    """
    if (before is None) == (epoch is None):
        raise typer.BadParameter("expected either --before or --epoch")
    zone = read_zone(timezone)
    end, instant = read_optional_instant(before, zone, "--before"), read_optional_instant(epoch, zone, "--epoch")
    with connect(context) as client:
        candidates = client.destroy_epochs(dataset, before=end, containing=instant, dry_run=True).epochs
        if candidates and not yes:
            _confirm_destruction(dataset, candidates)
        destroyed = client.destroy_epochs(dataset, before=end, containing=instant)
    if json:
        screen.print_json({"epochs": [_epoch(epoch) for epoch in destroyed.epochs], "cells": destroyed.cells})
    elif destroyed.epochs:
        periods, cells = screen.counted(len(destroyed.epochs), "period"), screen.counted(destroyed.cells, "cell")
        screen.out().print(f"destroyed: {periods} of {dataset}, {cells}")
    else:
        screen.out().print("nothing to destroy")


def _passphrase(file: Path | None, variable: str) -> str | None:
    passphrase = file.read_text().strip() if file else os.environ.get(variable)
    if passphrase == "":
        raise typer.BadParameter("the new passphrase is empty")
    return passphrase


def _confirm_destruction(dataset: str, epochs: tuple[Epoch, ...]) -> None:
    """Asks on stderr, since only the answer of the command goes to stdout."""
    screen.note(f"This erases all records of {dataset} that start in:")
    for epoch in epochs:
        screen.note(f"  {iso(epoch.start)} … {iso(epoch.end)}")
    typer.confirm("Destroy them permanently?", abort=True, err=True)


def _line(epoch: Epoch) -> str:
    span = f"{iso(epoch.start)} … {iso(epoch.end)}  {epoch.state.value}"
    made = f", made {iso(epoch.made_at)}" if epoch.made_at else ""
    made += f", renewed {screen.counted(epoch.renewals, 'time')}" if epoch.renewals else ""
    return span + (f" {iso(epoch.destroyed_at)}" if epoch.destroyed_at else made)


def _as_document(keys: DatasetKeys) -> dict[str, Any]:
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
