"""How many people there were: distinct devices by time step and by place.

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
from typing import TYPE_CHECKING, Self

from privacyplease.client._internal.tables.tabular import Tabular
from privacyplease.client._internal.times import unix_ms

if TYPE_CHECKING:
    import pyarrow as pa

# Between the parts of a location.
_SEPARATOR = " > "


class Count(int):
    """A number of distinct devices, exact or estimated.

    >>> Count(52).exact, Count(90_000, at_least=89_300, at_most=90_700).exact
    (True, False)

    Attributes:
        at_least: The lower bound: the true number is within both bounds with a probability of 95 %. Equal to the number
            if it is exact.
        at_most: The upper bound, likewise.
    """

    at_least: int
    at_most: int

    def __new__(cls, devices: int, *, at_least: int | None = None, at_most: int | None = None) -> Self:
        """A count; exact without bounds."""
        count = super().__new__(cls, devices)
        count.at_least = devices if at_least is None else at_least
        count.at_most = devices if at_most is None else at_most
        return count

    @property
    def exact(self) -> bool:
        """Whether it is exact, not an estimate."""
        return self.at_least == self == self.at_most


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a series: when it begins, in UTC, and its number of distinct devices."""

    at: datetime
    distinct_devices: int


@dataclass(frozen=True, slots=True)
class Peak(Step):
    """The step with the most distinct devices; the first of them if there are several."""


@dataclass(frozen=True)
class Series:
    """Distinct devices of each step. Steps are half-open; the last one includes the end of the interval.

    Attributes:
        start: When the first step begins, in UTC.
        step: The width of a step.
        distinct_devices: int64[n], one count per step.
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
    """How many people there were over time, and the peak."""

    peak: Peak
    series: Series

    def to_arrow(self) -> pa.Table:
        """The series as a table of at: timestamp[ms, UTC] and distinct_devices: int64."""
        from privacyplease.client._internal.tables.columns import counts, instants, table

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
    """Distinct devices of each place that had any, descending by count, then ascending by name.

    Attributes:
        places: str[n], the places' names.
        distinct_devices: int64[n], their counts.
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
        from privacyplease.client._internal.tables.columns import counts, table, texts

        return table({"place": texts(self.places), "distinct_devices": counts(self.distinct_devices)})


@dataclass(frozen=True, slots=True)
class Place:
    """A place, and its location from the widest to the narrowest, as "campus > building > floor"; "" if unknown."""

    place: str
    location: str


@dataclass(frozen=True)
class Places(Tabular):
    """Places, ascending by name, each with its location.

    >>> floors = Places(("ap-17", "ap-29", "ap-30"), ("Campus > Library > 1", "Campus > Library > 2", ""))
    >>> floors.groups()
    {'Campus > Library > 1': ['ap-17'], 'Campus > Library > 2': ['ap-29']}
    >>> floors.groups(depth=2)
    {'Campus > Library': ['ap-17', 'ap-29']}

    Attributes:
        places: str[n], their names.
        locations: str[n], their locations, as in `Place`.
    """

    places: tuple[str, ...]
    locations: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)

    def __iter__(self) -> Iterator[Place]:
        for place, location in zip(self.places, self.locations, strict=True):
            yield Place(place, location)

    def groups(self, depth: int | None = None) -> dict[str, list[str]]:
        """The places of each location: `groups` for `Client.count_by_place`.

        Args:
            depth: How many parts of a location to use, from the widest: 2 of "campus > building > floor" makes one
                group per building; all if None. Places without a location are in no group.
        """
        groups: dict[str, list[str]] = {}
        for place, location in zip(self.places, self.locations, strict=True):
            if location:
                groups.setdefault(_SEPARATOR.join(location.split(_SEPARATOR)[:depth]), []).append(place)
        return groups

    def to_arrow(self) -> pa.Table:
        """The places as a table of place: string and location: string."""
        from privacyplease.client._internal.tables.columns import table, texts

        return table({"place": texts(self.places), "location": texts(self.locations)})


@dataclass(frozen=True, slots=True)
class Dwell(Tabular):
    """How long sessions last, and whether their devices were there before.

    Attributes:
        bounds: The bounds between classes of length; the first class begins at zero.
        sessions: The number of sessions in each class; there is one more class than bounds.
        median: The length that half of the sessions do not exceed; None if there are no sessions.
        returning_devices: Distinct devices that had an earlier session within the look-back.
        new_devices: Distinct devices that had none.
    """

    bounds: tuple[timedelta, ...]
    sessions: tuple[int, ...]
    median: timedelta | None
    returning_devices: int
    new_devices: int

    def to_arrow(self) -> pa.Table:
        """The classes as a table of at_least: duration[ms], their lower bounds, and sessions: int64."""
        from privacyplease.client._internal.tables.columns import counts, durations, table

        starts = (timedelta(0), *self.bounds)
        return table({"at_least": durations(starts), "sessions": counts(self.sessions)})
