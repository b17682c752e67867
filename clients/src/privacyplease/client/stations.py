"""Bike-share stations: what each reported, and how many bikes and stands a contract had over time.

>>> from datetime import UTC, datetime, timedelta
>>> noon = datetime(2024, 10, 1, 12, tzinfo=UTC)
>>> bikes = Statistics(means=(None, 12.5), minima=(None, 11), maxima=(None, 14))
>>> for step in Availability(noon, timedelta(minutes=15), bikes, stands=bikes):
...     print(step.at.strftime("%H:%M"), step.bikes.mean, step.bikes.maximum)
12:00 None None
12:15 12.5 14
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from privacyplease.client._internal.tables.tabular import Tabular
from privacyplease.client._internal.times import unix_ms

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StationState:
    """What a station reported. It holds until the station's next report. What the feed left out is None.

    Attributes:
        station: "contract/number", with the contract in lower case.
        contract: The contract in lower case.
        state_from: When the state begins, in UTC: when the station reported it, or else when it was first polled.
        observed_for: How long polls returned the same report.
        contract_name: The contract as spelled by the feed.
        number: The station's number, unique within its contract.
        name: Its name.
        address: Its address; often empty in feeds.
        latitude: Degrees, north positive.
        longitude: Degrees, east positive.
        banking: Whether it has a payment terminal.
        bonus: Whether returning a bike there earns a bonus.
        status: "OPEN" or "CLOSED", as the feed has it.
        bike_stands: How many stands there are; often not the sum of bikes and free stands.
        available_bikes: How many bikes can be taken.
        available_bike_stands: How many stands are free.
        last_update: When the station reported, in UTC.
        source: The feed it is from.
        polled_at: When it was last polled, in UTC.
    """

    station: str
    contract: str
    state_from: datetime
    observed_for: timedelta
    contract_name: str | None
    number: str | None
    name: str | None
    address: str | None
    latitude: float | None
    longitude: float | None
    banking: bool | None
    bonus: bool | None
    status: str | None
    bike_stands: int | None
    available_bikes: int | None
    available_bike_stands: int | None
    last_update: datetime | None
    source: str | None
    polled_at: datetime | None


@dataclass(frozen=True)
class StationStates(Tabular):
    """States of stations.

    Attributes:
        table: One row per state, with the fields of `StationState` as columns.
    """

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[StationState]:
        from privacyplease.client._internal.tables.station_rows import rows

        return (StationState(*row) for row in rows(self.table))

    def to_arrow(self) -> pa.Table:
        """The states as a table."""
        return self.table


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity during a step: its mean over time, its minimum and its maximum; None if unknown."""

    mean: float | None
    minimum: int | None
    maximum: int | None


@dataclass(frozen=True, slots=True)
class AvailabilityStep:
    """The bikes and free stands of a contract in the step that begins at `at`, in UTC."""

    at: datetime
    bikes: Spread
    stands: Spread


@dataclass(frozen=True)
class Statistics:
    """A quantity over time, with one value per step; None where it is unknown.

    Attributes:
        means: float64[n], weighted by time.
        minima: int64[n].
        maxima: int64[n].
    """

    means: tuple[float | None, ...]
    minima: tuple[int | None, ...]
    maxima: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.means)

    def __iter__(self) -> Iterator[Spread]:
        for values in zip(self.means, self.minima, self.maxima, strict=True):
            yield Spread(*values)


@dataclass(frozen=True)
class Availability(Tabular):
    """Bikes and free stands of a contract in each step. Steps are half-open; the last one includes its end.

    Attributes:
        start: When the first step begins, in UTC.
        step: The width of a step.
        bikes: Available bikes, summed over the stations.
        stands: Free stands, summed over the stations.
    """

    start: datetime
    step: timedelta
    bikes: Statistics
    stands: Statistics

    def __len__(self) -> int:
        return len(self.bikes)

    def __iter__(self) -> Iterator[AvailabilityStep]:
        for number, (bikes, stands) in enumerate(zip(self.bikes, self.stands, strict=True)):
            yield AvailabilityStep(self.start + number * self.step, bikes, stands)

    def to_arrow(self) -> pa.Table:
        """A table of at: timestamp[ms, UTC], and of bikes and stands each _mean: float64, _min and _max: int64."""
        from privacyplease.client._internal.tables.columns import counts, instants, numbers, table

        columns = {"at": instants(unix_ms(step.at) for step in self)}
        for name, statistics in (("bikes", self.bikes), ("stands", self.stands)):
            columns |= {
                f"{name}_mean": numbers(statistics.means),
                f"{name}_min": counts(statistics.minima),
                f"{name}_max": counts(statistics.maxima),
            }
        return table(columns)
