"""`privacyplease presence`: where a device was, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli import screen
from privacyplease.cli.columns import aligned
from privacyplease.cli.forms import Csv, Json, written
from privacyplease.cli.options import Dataset, From, Place, Purpose, Range, To, Zone, read_range
from privacyplease.cli.target import connect
from privacyplease.cli.times import humanised, iso

if TYPE_CHECKING:
    from datetime import tzinfo

    from privacyplease.client import Presence, Session

_HEADINGS = ("place", "start", "end", "duration")


def presence(
    context: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="A MAC address in any notation.")],
    start: From,
    end: To,
    place: Place = None,
    purpose: Purpose = "",
    dataset: Dataset = "wifi",
    timezone: Zone = "UTC",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Where a device was, and when.

    Where somebody was is asked for a purpose, which must be stated; not for devices that the policy says are your own.

    Example: privacyplease presence e6:f1:d2:28:b9:33 --from 2024-10-01 --to 2024-10-02 --purpose "lost property"
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        found = client.presence(device, span.start, span.end, place=place, dataset=dataset, purpose=purpose)
    told = document(found)
    if not written(told, json, csv, ("place", "start", "end"), told["sessions"]):
        _show(found, span, place)


def document(presence: Presence) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "device": presence.device,
        "present": presence.present,
        "sessions": [{"place": s.place, "start": iso(s.start), "end": iso(s.end)} for s in presence.sessions],
    }


def _show(presence: Presence, span: Range, place: str | None) -> None:
    out = screen.out()
    if not presence.present:
        out.print(f"{presence.device} was not seen from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}")
        screen.doubt(place)
        return
    places = len(set(presence.sessions.places))
    heading = f"{screen.counted(len(presence.sessions), 'session')} at {screen.counted(places, 'place')}"
    out.print(f"{presence.device} was seen: {heading}")
    for line in aligned(
        _HEADINGS, [_line(session, span.zone) for session in presence.sessions], out.width, elastic="place"
    ):
        out.print(line)


def _line(session: Session, zone: tzinfo) -> tuple[str, ...]:
    place = screen.printable(session.place)
    return place, iso(session.start, zone), iso(session.end, zone), humanised(session.end - session.start)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(presence)
