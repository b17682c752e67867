r"""What `privacyplease watch` looks at, and how it shows it.

>>> from datetime import UTC, datetime, timedelta
>>> from privacyplease.client import PlaceCount
>>> noon = datetime(2024, 10, 1, 12, tzinfo=UTC)
>>> look = Look(noon, timedelta(minutes=15), 41, [PlaceCount("Library > 1", 30)], [PlaceCount("ap-1", 20)])
>>> print("\n".join(frame(look, UTC, width=40)))
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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from privacyplease.cli import screen
from privacyplease.cli.bars import bars
from privacyplease.cli.times import humanised, iso

if TYPE_CHECKING:
    from privacyplease.client import Client, PlaceCount

# Where places lie hardly changes, and is the dearest of the questions.
_LOCATIONS_KNOWN_FOR = timedelta(hours=1)
_LOOK_BACK = timedelta(days=1)

_MOST_ROWS = 10
_FURTHER_LINES = 6  # of a frame, besides its bars


@dataclass(frozen=True)
class Look:
    """Who was there at one moment.

    Attributes:
        at: When.
        window: How long before that counts, too.
        people: Distinct devices in the window.
        floors: Of each floor with anybody, descending.
        places: Of each place with anybody, descending.
    """

    at: datetime
    window: timedelta
    people: int
    floors: Sequence[PlaceCount]
    places: Sequence[PlaceCount]


class Watch:
    """Looks again and again.

    Args:
        client: Asks.
        window: How long before a moment counts, too.
        dataset: The data set to ask.
    """

    def __init__(self, client: Client, window: timedelta, dataset: str) -> None:
        self._client = client
        self._window = window
        self._dataset = dataset
        self._floors: Mapping[str, Sequence[str]] = {}
        self._floors_as_of: datetime | None = None

    def look(self, at: datetime) -> Look:
        """Who is there at a moment. `at` does not go back."""
        start = at - self._window
        people = self._client.count(start, at, dataset=self._dataset)
        places = list(self._client.count_by_place(start, at, dataset=self._dataset))
        floors = self._groups(at)
        counted = self._client.count_by_place(start, at, groups=floors, dataset=self._dataset) if floors else ()
        return Look(at, self._window, people, [each for each in counted if each.place in floors], places)

    def _groups(self, at: datetime) -> Mapping[str, Sequence[str]]:
        if self._floors_as_of is None or at - self._floors_as_of > _LOCATIONS_KNOWN_FOR:
            self._floors = self._client.list_places(at - _LOOK_BACK, at, dataset=self._dataset).groups()
            self._floors_as_of = at
        return self._floors


def document(look: Look) -> dict[str, Any]:
    """A look as --json prints it."""
    return {
        "at": iso(look.at),
        "distinct_devices": look.people,
        "floors": [{"floor": each.place, "distinct_devices": each.distinct_devices} for each in look.floors],
        "places": [{"place": each.place, "distinct_devices": each.distinct_devices} for each in look.places],
    }


def frame(look: Look, zone: tzinfo, width: int, height: int | None = None) -> list[str]:
    """A look as lines of a terminal.

    Args:
        look: What to show.
        zone: The zone to show the time in.
        width: Characters that a line may have.
        height: Lines that there may be; without, the fullest floors and places are shown whatever the terminal has.
    """
    rows = _MOST_ROWS if height is None else max((height - _FURTHER_LINES) // 2, 1)
    lines = [
        f"{screen.number(look.people)} people, {iso(look.at.replace(microsecond=0), zone)}",
        f"distinct devices of the last {humanised(look.window)}",
    ]
    for title, counts in (("floors", look.floors), ("places", look.places)):
        if counts:
            shown = [(screen.printable(count.place), count.distinct_devices) for count in counts[:rows]]
            lines += ["", title, *bars(shown, width)]
    return lines
