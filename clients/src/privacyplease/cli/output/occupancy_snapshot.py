r"""How many people are where at one moment, as `privacyplease watch` shows it.

>>> from datetime import UTC, datetime, timedelta
>>> from privacyplease.client import PlaceCount
>>> noon = datetime(2024, 10, 1, 12, tzinfo=UTC)
>>> floors, places = [PlaceCount("Library > 1", 30)], [PlaceCount("ap-1", 20)]
>>> snapshot = OccupancySnapshot(noon, timedelta(minutes=15), 41, floors, places)
>>> print("\n".join(screen_lines(snapshot, UTC, width=40)))
41 people, 2024-10-01T12:00:00Z
distinct devices of the last 15 min
<BLANKLINE>
floors
Library > 1  ███████████████████████  30
<BLANKLINE>
places
ap-1  ██████████████████████████████  20
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from privacyplease.cli.output import screen
from privacyplease.cli.output.bars import bars
from privacyplease.cli.times import humanised, iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta, tzinfo

    from privacyplease.client import PlaceCount

_MOST_ROWS = 10
_OTHER_LINES = 6  # lines of a screen that are not bars


@dataclass(frozen=True)
class OccupancySnapshot:
    """How many people are where at one moment.

    Attributes:
        at: The moment.
        window: A device counts as present if it was seen in this time before the moment.
        people: Distinct devices in the window.
        floors: Distinct devices on each floor that has any, descending.
        places: Distinct devices at each place that has any, descending.
    """

    at: datetime
    window: timedelta
    people: int
    floors: Sequence[PlaceCount]
    places: Sequence[PlaceCount]


def as_document(snapshot: OccupancySnapshot) -> dict[str, Any]:
    """A snapshot as --json prints it."""
    return {
        "at": iso(snapshot.at),
        "distinct_devices": snapshot.people,
        "floors": [{"floor": count.place, "distinct_devices": count.distinct_devices} for count in snapshot.floors],
        "places": [{"place": count.place, "distinct_devices": count.distinct_devices} for count in snapshot.places],
    }


def screen_lines(snapshot: OccupancySnapshot, zone: tzinfo, width: int, height: int | None = None) -> list[str]:
    """A snapshot as lines of a terminal.

    Args:
        snapshot: What to show.
        zone: The zone to show the time in.
        width: Characters that a line may have.
        height: Lines that there may be; None for as many as the ten fullest floors and places need.
    """
    rows = _MOST_ROWS if height is None else max((height - _OTHER_LINES) // 2, 1)
    lines = [
        f"{screen.number(snapshot.people)} people, {iso(snapshot.at.replace(microsecond=0), zone)}",
        f"distinct devices of the last {humanised(snapshot.window)}",
    ]
    for title, counts in (("floors", snapshot.floors), ("places", snapshot.places)):
        if counts:
            shown = [(screen.printable(count.place), count.distinct_devices) for count in counts[:rows]]
            lines += ["", title, *bars(shown, width)]
    return lines
