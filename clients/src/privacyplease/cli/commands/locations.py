"""`privacyplease locations`: which places there are, and where."""

from __future__ import annotations

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import Dataset, From, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs

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
    """Which places had devices, and where each place is.

    The location of a place is the one in its latest record.

    Example: privacyplease locations --from -7d --to now
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        places = client.list_places(span.start, span.end, dataset=dataset)
    rows = [{"place": place.place, "location": place.location or None} for place in places]
    if not printed_for_programs({"places": rows}, json, csv, _COLUMNS, rows):
        out = screen.out()
        cells = [(screen.printable(place.place), screen.printable(place.location) or "-") for place in places]
        for line in aligned(_COLUMNS, cells, out.width, elastic="location"):
            out.print(line)
