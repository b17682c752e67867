"""`privacyplease floors`: how many distinct devices there were on each floor, or in each building."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.commands import places
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, To, Zone, read_range
from privacyplease.cli.target import connect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from privacyplease.client import Client, PlaceCount

Depth = Annotated[
    int | None,
    typer.Option("--depth", metavar="N", min=1, help="Parts of the location to go by: 2 of campus > building > floor."),
]


def floors(
    context: typer.Context,
    start: From,
    end: To,
    depth: Depth = None,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many distinct devices on each floor, the fullest first.

    Floors are the locations that records tell of their places. Who was at several places of a floor counts once.

    Example: privacyplease floors --from 2024-10-01T08:00Z --to 2024-10-01T18:00Z --depth 2
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        known = client.list_places(span.start, span.end, dataset=dataset)
        groups = known.groups(depth)
        found = counted(client, span.start, span.end, groups, dataset)
    told = [document(count) for count in found]
    if not written({"floors": told}, json, csv, ("floor", "distinct_devices"), told):
        places.show(found)
        if homeless := len(known) - sum(map(len, groups.values())):
            screen.note(f"left out: {screen.counted(homeless, 'place')} that no record tells the location of")


def counted(
    client: Client, start: datetime, end: datetime, groups: Mapping[str, Sequence[str]], dataset: str
) -> list[PlaceCount]:
    """Distinct devices of each group of places with at least one, descending."""
    counts = client.count_by_place(start, end, groups=groups, dataset=dataset)
    return [count for count in counts if count.place in groups]


def document(count: PlaceCount) -> dict[str, Any]:
    """A floor as --json prints it."""
    return {"floor": count.place, "distinct_devices": count.distinct_devices}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(floors)
