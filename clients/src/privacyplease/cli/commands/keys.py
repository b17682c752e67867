"""`privacyplease keys`: what has a key, and what shall be gone for good."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.options import Json, Zone, read_instant, read_zone
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised, iso, seconds

if TYPE_CHECKING:
    from privacyplease.client.keys import DatasetKeys, Epoch

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

app = typer.Typer(help="What has a key, and what shall be gone for good.")


@app.command("list")
def list_(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="Only this data set.")] = None,
    json: Json = False,
) -> None:
    """Show which periods have a key, since when, and which were destroyed.

    --json prints {"master_key", "datasets": [{"dataset", "retain", "epochs": [{"start", "end", "state", "made_at",
    "destroyed_at"}]}]}; retain in seconds, null where there is none.

    Example: privacyplease keys list
    """
    with connect(context) as client:
        found = client.keys(dataset)
    if json:
        datasets = [_document(keys) for keys in found.datasets]
        screen.print_json({"master_key": found.master_key, "datasets": datasets})
        return
    out = screen.out()
    out.print(f"master key  {screen.printable(found.master_key)}")
    for keys in found.datasets:
        kept = f"kept for {humanised(keys.retain)}" if keys.retain else "kept until destroyed"
        out.print(f"{keys.dataset}: {screen.counted(len(keys.epochs), 'period')}, {kept}")
        for epoch in keys.epochs:
            out.print(f"  {_line(epoch)}")


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
    """Erase periods for good: their keys are destroyed and their cells deleted. Nobody can take that back.

    A period is erased as a whole. Records that come late for it are rejected from then on.

    --json prints {"epochs": [{"start", "end", "state", "made_at", "destroyed_at"}], "cells"}.

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


def _ask(dataset: str, doomed: tuple[Epoch, ...]) -> None:
    """On stderr: the answer alone goes to stdout."""
    screen.note(f"This erases all records of {dataset} that start in:")
    for epoch in doomed:
        screen.note(f"  {iso(epoch.start)} … {iso(epoch.end)}")
    typer.confirm("Destroy them for good?", abort=True, err=True)


def _line(epoch: Epoch) -> str:
    span = f"{iso(epoch.start)} … {iso(epoch.end)}  {epoch.state.value}"
    made = f", made {iso(epoch.made_at)}" if epoch.made_at else ""
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
    }


def register(cli: typer.Typer) -> None:
    """Adds the group of commands."""
    cli.add_typer(app, name="keys")
