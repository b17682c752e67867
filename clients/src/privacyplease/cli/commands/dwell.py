"""`privacyplease dwell`: how long people stay, and who comes again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, Place, To, Zone, read_range, read_width
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised, seconds

if TYPE_CHECKING:
    from privacyplease.client import Dwell

Bounds = Annotated[
    str, typer.Option("--bounds", metavar="WIDTH,...", help="Where classes of length begin, besides zero.")
]
LookBack = Annotated[
    str | None,
    typer.Option("--look-back", metavar="WIDTH", help="How far to look for an earlier session of a device, as 28d."),
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
    """How long sessions last, and how many devices came again.

    All sessions count that touch the interval, in their whole length.

    --json prints {"classes": [{"at_least", "sessions"}], "median", "returning_devices", "new_devices"}, times in
    seconds; the last two are null without --look-back.

    Example: privacyplease dwell --from 2024-10-01 --to 2024-10-02 --look-back 28d
    """
    span, edges = read_range(start, end, timezone), [read_width(text, "--bounds") for text in bounds.split(",")]
    back = read_width(look_back, "--look-back") if look_back else timedelta(0)
    with connect(context) as client:
        found = client.dwell(span.start, span.end, bounds=edges, look_back=back, place=place, dataset=dataset)
    told = document(found, looked_back=bool(back))
    if not written(told, json, csv, ("at_least", "sessions"), told["classes"]):
        _show(found, back, place)


def document(found: Dwell, *, looked_back: bool) -> dict[str, Any]:
    """The answer as --json prints it."""
    begins = (timedelta(0), *found.bounds)
    return {
        "classes": [
            {"at_least": seconds(begin), "sessions": sessions}
            for begin, sessions in zip(begins, found.sessions, strict=True)
        ],
        "median": None if found.median is None else seconds(found.median),
        "returning_devices": found.returning_devices if looked_back else None,
        "new_devices": found.new_devices if looked_back else None,
    }


def _show(found: Dwell, back: timedelta, place: str | None) -> None:
    from privacyplease.cli.bars import bars

    out = screen.out()
    if found.median is None:
        out.print("nobody was there")
        screen.doubt(place)
        return
    sessions = screen.counted(sum(found.sessions), "session")
    out.print(f"{sessions}; half of them last no longer than {humanised(found.median)}")
    names = [f"under {humanised(found.bounds[0])}", *(f"from {humanised(bound)}" for bound in found.bounds)]
    for line in bars(list(zip(names, found.sessions, strict=True)), out.width):
        out.print(line)
    if back:
        returning, new = found.returning_devices, screen.number(found.new_devices)
        out.print(
            f"{screen.counted(returning, 'device')} came again within {humanised(back)}; {new} had not been there"
        )


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(dwell)
