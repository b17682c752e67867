"""`privacyplease count`: how many distinct devices there were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, Place, To, Zone, read_range
from privacyplease.cli.target import connect
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

    An estimate says so, and within which bounds the true number is at 95 %.

    Example: privacyplease count --from -2h --to now --place ap-29
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        devices = client.count(span.start, span.end, place=place, exact=exact, dataset=dataset)
    told = document(devices)
    if written(told, json, csv, tuple(told), [told]):
        return
    where = f"at {place}" if place else "anywhere"
    when = f"from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}"
    screen.out().print(f"{shown(devices)} {where} {when}")
    if not devices:
        screen.doubt(place)


def shown(devices: Count, noun: str = "distinct device") -> str:
    """As "52 distinct devices", or "≈ 90,000 distinct devices (89,300 to 90,700)"."""
    number = screen.counted(devices, noun)
    if devices.exact:
        return number
    return f"≈ {number} ({screen.number(devices.at_least)} to {screen.number(devices.at_most)})"


def document(devices: Count) -> dict[str, Any]:
    """The answer as --json prints it; with bounds if it is an estimate."""
    return {"distinct_devices": devices, **bounds(devices)}


def bounds(devices: Count) -> dict[str, int]:
    """Those of an estimate; nothing for an exact number."""
    return {} if devices.exact else {"at_least": devices.at_least, "at_most": devices.at_most}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(count)
