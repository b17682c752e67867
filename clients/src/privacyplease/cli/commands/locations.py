"""`privacyplease locations`: which places there are, and where."""

from __future__ import annotations

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, To, Zone, read_range
from privacyplease.cli.target import connect

_COLUMNS = ("place", "location")


def locations(
    context: typer.Context,
    start: From,
    end: To,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Which places had anybody, and where each of them lies. Their latest records tell.

    Example: privacyplease locations --from -7d --to now
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        found = client.list_places(span.start, span.end, dataset=dataset)
    told = [{"place": place.place, "location": place.location or None} for place in found]
    if not written({"places": told}, json, csv, _COLUMNS, told):
        out = screen.out()
        rows = [(screen.printable(place.place), screen.printable(place.location) or "-") for place in found]
        for line in aligned(_COLUMNS, rows, out.width, elastic="location"):
            out.print(line)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(locations)
