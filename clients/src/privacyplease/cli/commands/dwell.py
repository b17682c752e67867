"""`privacyplease dwell`: how long people stay, and who comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import read_duration, read_range
from privacyplease.cli.options import Dataset, From, Place, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.bars import bars
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
from privacyplease.cli.times import humanised, seconds

if TYPE_CHECKING:
    from privacyplease.client import Dwell

Bounds = Annotated[
    str, typer.Option("--bounds", metavar="DURATION,...", help="Lower bounds of the duration classes, without zero.")
]
LookBack = Annotated[
    str | None,
    typer.Option("--look-back", metavar="DURATION", help="How far back to look for earlier sessions: 28d."),
]


def dwell(
    context: typer.Context,
    start: From,
    end: To,
    bounds: Bounds = "1s,1m,5m,15m,30m,1h,2h,4h,8h",
    look_back: LookBack = None,
    place: Place = None,
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """How long sessions last, and how many devices came back.

    Every session that overlaps the interval counts, with its full duration.

    --json prints {"classes": [{"at_least", "sessions"}], "median", "returning_devices", "new_devices"}, times in
    seconds; the last two are null without --look-back.

    Example: privacyplease dwell --from 2024-10-01 --to 2024-10-02 --look-back 28d
    """
    span, edges = read_range(start, end, timezone), [read_duration(text, "--bounds") for text in bounds.split(",")]
    back = read_duration(look_back, "--look-back") if look_back else timedelta(0)
    with connect(context) as client:
        answer = client.dwell(span.start, span.end, bounds=edges, look_back=back, place=place, dataset=dataset)
    document = as_document(answer, looked_back=bool(back))
    if not printed_for_programs(document, json, csv, ("at_least", "sessions"), document["classes"]):
        _show(answer, back, place)


def as_document(dwell: Dwell, *, looked_back: bool) -> dict[str, Any]:
    """The answer as --json prints it."""
    lower_bounds = (timedelta(0), *dwell.bounds)
    return {
        "classes": [
            {"at_least": seconds(bound), "sessions": sessions}
            for bound, sessions in zip(lower_bounds, dwell.sessions, strict=True)
        ],
        "median": None if dwell.median is None else seconds(dwell.median),
        "returning_devices": dwell.returning_devices if looked_back else None,
        "new_devices": dwell.new_devices if looked_back else None,
    }


def _show(dwell: Dwell, back: timedelta, place: str | None) -> None:
    out = screen.out()
    if dwell.median is None:
        out.print("no sessions")
        screen.hint_at_places(place)
        return
    sessions = screen.counted(sum(dwell.sessions), "session")
    out.print(f"{sessions}; half of them last {humanised(dwell.median)} or less")
    names = [f"under {humanised(dwell.bounds[0])}", *(f"from {humanised(bound)}" for bound in dwell.bounds)]
    for line in bars(list(zip(names, dwell.sessions, strict=True)), out.width):
        out.print(line)
    if back:
        returning, new = dwell.returning_devices, screen.number(dwell.new_devices)
        out.print(f"{screen.counted(returning, 'device')} came back within {humanised(back)}; {new} had not been seen")
