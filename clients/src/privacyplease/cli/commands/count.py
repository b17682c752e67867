"""`privacyplease count`: how many distinct devices there were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_range
from privacyplease.cli.options import Dataset, From, Place, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.counts import bounds, count_text
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import iso

if TYPE_CHECKING:
    from privacyplease.client import Count


def count(
    context: typer.Context,
    start: From,
    end: To,
    place: Place = None,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    exact: Annotated[bool, typer.Option("--exact", help="Never estimate, whatever it costs.")] = False,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many distinct devices there were, at a place or anywhere.

    An estimate is marked as one and comes with the bounds of its 95 % confidence interval.

    Example: privacyplease count --from -2h --to now --place ap-29
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        devices = client.count(span.start, span.end, place=place, exact=exact, dataset=dataset)
    document = as_document(devices)
    if printed_for_programs(document, json, csv, tuple(document), [document]):
        return
    where = f"at {place}" if place else "anywhere"
    when = f"from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}"
    screen.out().print(f"{count_text(devices)} {where} {when}")
    if not devices:
        screen.hint_at_places(place)


def as_document(devices: Count) -> dict[str, Any]:
    """The answer as --json prints it; with bounds if it is an estimate."""
    return {"distinct_devices": devices, **bounds(devices)}
