"""How many people were there: distinct devices by step of time, and by place.

>>> from datetime import UTC, datetime, timedelta
>>> series = Series(datetime(2024, 10, 1, 8, tzinfo=UTC), timedelta(minutes=15), (12, 40))
>>> [(step.at.strftime("%H:%M"), step.distinct_devices) for step in series]
[('08:00', 12), ('08:15', 40)]
>>> [place.place for place in PlaceCounts(("ap-17", "ap-29"), (42, 7))]
['ap-17', 'ap-29']
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from privacyplease.client._internal.tabular import Tabular
from privacyplease.client._internal.times import unix_ms

if TYPE_CHECKING:
    import pyarrow as pa

# Between the parts of a location.
_SEPARATOR = " > "


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a series: when it begins, in UTC, and the distinct devices in it."""

    at: datetime
    distinct_devices: int


@dataclass(frozen=True, slots=True)
class Peak(Step):
    """The step with the most distinct devices; of several, the first."""


@dataclass(frozen=True)
class Series:
    """Distinct devices of each step. Steps are half open; the last is closed where the interval ends.

    Attributes:
        start: When the first step begins, in UTC.
        step: The width of a step.
        distinct_devices: int64[n], one count a step.
    """

    start: datetime
    step: timedelta
    distinct_devices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.distinct_devices)

    def __iter__(self) -> Iterator[Step]:
        for number, count in enumerate(self.distinct_devices):
            yield Step(self.start + number * self.step, count)


@dataclass(frozen=True)
class Occupancy(Tabular):
    """How many people were there over time, and when the most."""

    peak: Peak
    series: Series

    def to_arrow(self) -> pa.Table:
        """The series as a table of at: timestamp[ms, UTC] and distinct_devices: int64."""
        from privacyplease.client._internal.arrow import counts, instants, table

        return table(
            {
                "at": instants(unix_ms(step.at) for step in self.series),
                "distinct_devices": counts(self.series.distinct_devices),
            }
        )


@dataclass(frozen=True, slots=True)
class PlaceCount:
    """Distinct devices at one place."""

    place: str
    distinct_devices: int


@dataclass(frozen=True)
class PlaceCounts(Tabular):
    """Distinct devices of each place with at least one, descending by count, then ascending by name.

    Attributes:
        places: str[n], where.
        distinct_devices: int64[n], how many there.
    """

    places: tuple[str, ...]
    distinct_devices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[PlaceCount]:
        for place, count in zip(self.places, self.distinct_devices, strict=True):
            yield PlaceCount(place, count)

    def to_arrow(self) -> pa.Table:
        """The places as a table of place: string and distinct_devices: int64."""
        from privacyplease.client._internal.arrow import counts, table, texts

        return table({"place": texts(self.places), "distinct_devices": counts(self.distinct_devices)})


@dataclass(frozen=True, slots=True)
class Place:
    """A place, and where it lies, from the widest to the narrowest: "campus > building > floor"; "" if nobody tells."""

    place: str
    location: str


@dataclass(frozen=True)
class Places(Tabular):
    """Places, ascending by name, and where each lies.

    >>> floors = Places(("ap-17", "ap-29", "ap-30"), ("Campus > Library > 1", "Campus > Library > 2", ""))
    >>> floors.groups()
    {'Campus > Library > 1': ['ap-17'], 'Campus > Library > 2': ['ap-29']}
    >>> floors.groups(depth=2)
    {'Campus > Library': ['ap-17', 'ap-29']}

    Attributes:
        places: str[n], their names.
        locations: str[n], where, as `Place` has it.
    """

    places: tuple[str, ...]
    locations: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Place]:
        for place, location in zip(self.places, self.locations, strict=True):
            yield Place(place, location)

    def groups(self, depth: int | None = None) -> dict[str, list[str]]:
        """The places of each location, as `Client.count_by_place` takes groups.

        Args:
            depth: How many of a location's parts to go by, from the widest on: 2 of "campus > building > floor" makes
                a group of each building; all if None. Places that tell no location are in no group.
        """
        found: dict[str, list[str]] = {}
        for place, location in zip(self.places, self.locations, strict=True):
            if location:
                found.setdefault(_SEPARATOR.join(location.split(_SEPARATOR)[:depth]), []).append(place)
        return found

    def to_arrow(self) -> pa.Table:
        """The places as a table of place: string and location: string."""
        from privacyplease.client._internal.arrow import table, texts

        return table({"place": texts(self.places), "location": texts(self.locations)})


@dataclass(frozen=True, slots=True)
class Dwell(Tabular):
    """How long sessions last, and whose they are.

    Attributes:
        bounds: Where classes of length begin; the first begins at zero.
        sessions: Sessions of each class, one class more than there are bounds.
        median: The length that half of the sessions do not exceed; None without any session.
        returning_devices: Distinct devices that had another session before, within the look-back.
        new_devices: Distinct devices that had none.
    """

    bounds: tuple[timedelta, ...]
    sessions: tuple[int, ...]
    median: timedelta | None
    returning_devices: int
    new_devices: int

    def to_arrow(self) -> pa.Table:
        """The classes as a table of at_least: duration[ms], where each begins, and sessions: int64."""
        from privacyplease.client._internal.arrow import counts, durations, table

        begins = (timedelta(0), *self.bounds)
        return table({"at_least": durations(begins), "sessions": counts(self.sessions)})
