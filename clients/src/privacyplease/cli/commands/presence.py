"""`privacyplease presence`: where a device was, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from privacyplease.cli.connection import connect
from privacyplease.cli.option_values import TimeRange, read_range
from privacyplease.cli.options import Dataset, From, Place, Purpose, To, Zone
from privacyplease.cli.output import screen
from privacyplease.cli.output.columns import aligned
from privacyplease.cli.output.output_formats import Csv, Json, printed_for_programs
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

    A purpose is required, except for devices that the policy lists as your own.

    Example: privacyplease presence e6:f1:d2:28:b9:33 --from 2024-10-01 --to 2024-10-02 --purpose "lost property"
    """
    span = read_range(start, end, timezone)
    with connect(context) as client:
        answer = client.presence(device, span.start, span.end, place=place, dataset=dataset, purpose=purpose)
    document = as_document(answer)
    if not printed_for_programs(document, json, csv, ("place", "start", "end"), document["sessions"]):
        _show(answer, span, place)


def as_document(presence: Presence) -> dict[str, Any]:
    """The answer as --json prints it."""
    return {
        "device": presence.device,
        "present": presence.present,
        "sessions": [{"place": s.place, "start": iso(s.start), "end": iso(s.end)} for s in presence.sessions],
    }


def _show(presence: Presence, span: TimeRange, place: str | None) -> None:
    out = screen.out()
    if not presence.present:
        out.print(f"{presence.device} was not seen from {iso(span.start, span.zone)} to {iso(span.end, span.zone)}")
        screen.hint_at_places(place)
        return
    places = len(set(presence.sessions.places))
    heading = f"{screen.counted(len(presence.sessions), 'session')} at {screen.counted(places, 'place')}"
    out.print(f"{presence.device} was seen: {heading}")
    for line in aligned(
        _HEADINGS, [_row(session, span.zone) for session in presence.sessions], out.width, elastic="place"
    ):
        out.print(line)


def _row(session: Session, zone: tzinfo) -> tuple[str, ...]:
    place = screen.printable(session.place)
    return place, iso(session.start, zone), iso(session.end, zone), humanised(session.end - session.start)
