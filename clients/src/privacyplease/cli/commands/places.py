"""`privacyplease places`: how many distinct devices there were at each place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import Dataset, From, To, Zone
from privacyplease.cli.output.counts import print_place_counts
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs

if TYPE_CHECKING:
    from privacyplease.client import PlaceCounts


def places(
    context: typer.Context,
    start: From,
    end: To,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many distinct devices at each place, fullest first.

    Example: privacyplease places --from 2024-10-01T08:00Z --to 2024-10-01T18:00Z
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        counts = client.count_by_place(span.start, span.end, dataset=dataset)
    document = as_document(counts)
    if not printed_for_programs(document, json, csv, ("place", "distinct_devices"), document["places"]):
        print_place_counts(counts)


def as_document(counts: PlaceCounts) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {"places": [{"place": count.place, "distinct_devices": count.distinct_devices} for count in counts]}
