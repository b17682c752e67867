"""`privacyplease occupancy`: how many distinct devices there were over time, and when the most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, Place, Range, Step, To, Zone, read_range, read_step
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised, iso

if TYPE_CHECKING:
    from privacyplease.client import Occupancy


def occupancy(
    context: typer.Context,
    start: From,
    end: To,
    step: Step,
    place: Place = None,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How many distinct devices over time, as a chart; and the peak.

    Example: privacyplease occupancy --from 2024-10-01 --to 2024-10-02 --step 15m
    """
    span, width = read_range(start, end, timezone), read_step(step)
    with connect(context) as client:
        found = client.occupancy(span.start, span.end, width, place=place, dataset=dataset)
    told = document(found)
    if not written(told, json, csv, ("at", "distinct_devices"), told["series"]):
        _show(found, span, place)


def document(occupancy: Occupancy) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "peak": {"at": iso(occupancy.peak.at), "distinct_devices": occupancy.peak.distinct_devices},
        "series": [{"at": iso(step.at), "distinct_devices": step.distinct_devices} for step in occupancy.series],
    }


def _show(occupancy: Occupancy, span: Range, place: str | None) -> None:
    from privacyplease.cli.chart import draw

    out = screen.out()
    series, peak = occupancy.series, occupancy.peak
    where = f"at {place}" if place else "anywhere"
    out.print(f"distinct devices {where}, {screen.counted(len(series), 'step')} of {humanised(series.step)}")
    ends = iso(span.start, span.zone), iso(span.end, span.zone)
    for line in draw(series.distinct_devices, ends, out.width):
        out.print(line)
    devices = screen.counted(peak.distinct_devices, "distinct device")
    out.print(f"peak: {devices} in the step from {iso(peak.at, span.zone)}")
    if not peak.distinct_devices:
        screen.doubt(place)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(occupancy)
