"""`privacyplease floors`: how many distinct devices there were on each floor, or in each building."""

from __future__ import annotations

from typing import Annotated

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import Dataset, From, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.counts import print_place_counts
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs

Depth = Annotated[
    int | None,
    typer.Option(
        "--depth",
        metavar="N",
        min=1,
        help="How many parts of the location to group by: 2 of campus > building > floor.",
    ),
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
    """How many distinct devices on each floor, fullest first.

    Floors are the locations of places in the records. A device at several places of a floor counts once.

    Example: privacyplease floors --from 2024-10-01T08:00Z --to 2024-10-01T18:00Z --depth 2
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        places = client.list_places(span.start, span.end, dataset=dataset)
        groups = places.groups(depth)
        counts = client.count_by_place(span.start, span.end, groups=groups, dataset=dataset)
    floor_counts = [count for count in counts if count.place in groups]
    rows = [{"floor": count.place, "distinct_devices": count.distinct_devices} for count in floor_counts]
    if not printed_for_programs({"floors": rows}, json, csv, ("floor", "distinct_devices"), rows):
        print_place_counts(floor_counts)
        if unlocated := len(places) - sum(map(len, groups.values())):
            screen.note(f"left out: {screen.counted(unlocated, 'place')} without a location in any record")
