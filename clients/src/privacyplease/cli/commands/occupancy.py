"""`privacyplease occupancy`: how many distinct devices there were over time, and the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import TimeRange, read_duration, read_range
from privacyplease.cli.options import Dataset, From, Place, Step, To, Zone
from privacyplease.cli.output import chart, screen
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
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
    """How many distinct devices over time, as a chart.

    The answer also names the peak.

    Example: privacyplease occupancy --from 2024-10-01 --to 2024-10-02 --step 15m
    """
    span, length = read_range(start, end, timezone), read_duration(step, "--step")
    with connect(context) as client:
        answer = client.occupancy(span.start, span.end, length, place=place, dataset=dataset)
    document = as_document(answer)
    if not printed_for_programs(document, json, csv, ("at", "distinct_devices"), document["series"]):
        _show(answer, span, place)


def as_document(occupancy: Occupancy) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "peak": {"at": iso(occupancy.peak.at), "distinct_devices": occupancy.peak.distinct_devices},
        "series": [{"at": iso(step.at), "distinct_devices": step.distinct_devices} for step in occupancy.series],
    }


def _show(occupancy: Occupancy, span: TimeRange, place: str | None) -> None:
    out = screen.out()
    series, peak = occupancy.series, occupancy.peak
    where = f"at {place}" if place else "anywhere"
    out.print(f"distinct devices {where}, {screen.counted(len(series), 'step')} of {humanised(series.step)}")
    ends = iso(span.start, span.zone), iso(span.end, span.zone)
    for line in chart.draw(series.distinct_devices, ends, out.width):
        out.print(line)
    devices = screen.counted(peak.distinct_devices, "distinct device")
    out.print(f"peak: {devices} in the step from {iso(peak.at, span.zone)}")
    if not peak.distinct_devices:
        screen.hint_at_places(place)
