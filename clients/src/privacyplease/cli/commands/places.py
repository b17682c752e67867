"""`privacyplease places`: how many distinct devices there were at each place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, To, Zone, read_range
from privacyplease.cli.target import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from privacyplease.client import PlaceCount, PlaceCounts


def places(
    context: typer.Context,
    start: From,
    end: To,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many distinct devices at each place, the fullest first.

    Example: privacyplease places --from 2024-10-01T08:00Z --to 2024-10-01T18:00Z
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        counts = client.count_by_place(span.start, span.end, dataset=dataset)
    told = document(counts)
    if not written(told, json, csv, ("place", "distinct_devices"), told["places"]):
        show(counts)


def document(counts: PlaceCounts) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {"places": [{"place": count.place, "distinct_devices": count.distinct_devices} for count in counts]}


def show(counts: Sequence[PlaceCount] | PlaceCounts) -> None:
    """Draws places, or groups of them, and their counts."""
    from privacyplease.cli.bars import bars

    out = screen.out()
    if not len(counts):
        out.print("no device was anywhere")
        return
    for line in bars([(screen.printable(count.place), count.distinct_devices) for count in counts], out.width):
        out.print(line)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(places)
