"""`privacyplease plan`: base width, bins and volume hiding for a deployment, and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.forms import Csv, Json, written

if TYPE_CHECKING:
    from privacyplease.cli.planning import IndexPlan, Plan

_LINE_CHARACTERS = 100


def plan(
    devices: Annotated[int, typer.Option("--devices", metavar="N", min=1, help="How many devices there are.")],
    places: Annotated[int, typer.Option("--places", metavar="N", min=1, help="How many places there are.")],
    rows_per_day: Annotated[int, typer.Option("--rows-per-day", metavar="R", min=1, help="Sessions a day.")],
    dominant_share: Annotated[
        float | None,
        typer.Option(
            "--dominant-share",
            metavar="SHARE",
            min=0,
            max=1,
            help="The busiest place's share of all sessions, as 0.4; else as Zipf's law has it.",
        ),
    ] = None,
    least_devices: Annotated[
        int, typer.Option("--least-devices", metavar="N", min=1, help="At least so many devices share a bin.")
    ] = 100,
    least_places: Annotated[
        int, typer.Option("--least-places", metavar="N", min=1, help="At least so many places share a bin.")
    ] = 20,
    most_storage: Annotated[
        float,
        typer.Option("--most-storage", metavar="FACTOR", min=0, help="What hiding may cost, beside plaintext."),
    ] = 0.8,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Recommend base width, bins and padding, and what they cost.

    It asks no proxy. Fetched bytes are those of compacted data: records of a device or a place, and what a count of the
    devices at a place takes, which reads roll-ups in the middle of its range.

    Example: privacyplease plan --devices 1000 --places 80 --rows-per-day 24500
    """
    from privacyplease.cli.planning import Deployment
    from privacyplease.cli.planning import plan as planned

    found = planned(
        Deployment(devices, places, rows_per_day, dominant_share, least_devices, least_places, most_storage)
    )
    if not written(asdict(found), json, csv):
        _show(found)


def _show(found: Plan) -> None:
    out = screen.out()
    out.print(_definition(found))
    ranges = [f"fetched, {name}" for name in found.subject.fetched_bytes]
    rows = [_row("subject", "devices", found.subject), _row("place", "places", found.place)]
    counted = [screen.mebibytes(size) for size in found.counted_bytes.values()]
    rows.append(["place, counts", "", "", "", *counted])
    headings = ["index", "bins", "share a bin", "fullest bin", *ranges]
    out.print("\n".join(aligned(headings, rows, _LINE_CHARACTERS, right=set(headings[1:]))))
    hidden, shown = found.storage_hidden, found.storage_shown
    out.print(f"\nstored: {hidden:.2f} of plaintext with volume hidden, {shown:.2f} without; roll-ups are in it")
    for warning in found.warnings:
        screen.note(f"warning: {warning}")


def _definition(found: Plan) -> str:
    """The lines for a data set's definition."""
    hide = str(found.hide_volume).lower()
    return (
        f'base_width = "{found.base_width}"\nhide_volume = {hide}\n\n[indexes.subject]\nbins = {found.subject.bins}\n\n'
        f"[indexes.place]\nbins = {found.place.bins}\n"
    )


def _row(name: str, whom: str, index: IndexPlan) -> list[str]:
    fetched = [screen.mebibytes(size) for size in index.fetched_bytes.values()]
    return [name, str(index.bins), f"{index.anonymity_set:,} {whom}", f"{index.fullest:.1f} × mean", *fetched]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(plan)
