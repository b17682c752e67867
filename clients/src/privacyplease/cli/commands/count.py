"""`privacyplease count`: how many distinct devices there were."""

from __future__ import annotations

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, Place, To, Zone, read_range
from privacyplease.cli.target import connect
from privacyplease.cli.times import iso


def count(
    context: typer.Context,
    start: From,
    end: To,
    place: Place = None,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many distinct devices there were, at a place or anywhere.

    Example: privacyplease count --from -2h --to now --place ap-29
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        devices = client.count(span.start, span.end, place=place, dataset=dataset)
    told = {"distinct_devices": devices}
    if written(told, json, csv, tuple(told), [told]):
        return
    where = f"at {place}" if place else "anywhere"
    when = f"from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}"
    screen.out().print(f"{screen.counted(devices, 'distinct device')} {where} {when}")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(count)
