"""Bike-share stations: what each reported, and what a contract had available over time.

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

from privacyplease.client._internal.tabular import Tabular
from privacyplease.client._internal.times import unix_ms

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StationState:
    """What a station reported. It holds until the station's next report. What the feed did not tell is None.

    Attributes:
        station: The station as "contract/number", the contract in lower case.
        contract: The contract in lower case.
        state_from: From when on the state holds, in UTC: when the station reported it, else when it was first polled.
        observed_for: For how long polls saw the same report.
        contract_name: The contract as the feed has it.
        number: The station's number, unique within its contract.
        name: Its name.
        address: Where it is; feeds often leave it empty.
        latitude: Degrees, north positive.
        longitude: Degrees, east positive.
        banking: Whether one can pay there.
        bonus: Whether returning a bike there earns a bonus.
        status: As the feed has it, "OPEN" or "CLOSED".
        bike_stands: How many stands there are. Bikes and free stands often add up to another number.
        available_bikes: How many bikes can be taken.
        available_bike_stands: How many stands are free.
        last_update: When the station reported, in UTC.
        source: Which feed told it.
        polled_at: When it was polled last, in UTC.
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
        table: One row a state, with the fields of `StationState` as columns.
    """

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[StationState]:
        from privacyplease.client._internal.station_rows import rows

        return rows(self.table)

    def to_arrow(self) -> pa.Table:
        """The states as a table."""
        return self.table


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity during a step: its mean over time, its least and its greatest; None where nothing is known."""

    mean: float | None
    minimum: int | None
    maximum: int | None


@dataclass(frozen=True, slots=True)
class AvailabilityStep:
    """What a contract had available in a step that begins at `at`, in UTC."""

    at: datetime
    bikes: Spread
    stands: Spread


@dataclass(frozen=True)
class Statistics:
    """A quantity over time, one value a step; None where nothing is known.

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
    """Bikes and free stands of a contract in each step. Steps are half open; the last is closed where it ends.

    Attributes:
        start: When the first step begins, in UTC.
        step: The width of a step.
        bikes: Bikes that could be taken, summed over the stations.
        stands: Stands that were free, summed over the stations.
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
        from privacyplease.client._internal.arrow import counts, instants, numbers, table

        columns = {"at": instants(unix_ms(step.at) for step in self)}
        for name, of in (("bikes", self.bikes), ("stands", self.stands)):
            columns |= {
                f"{name}_mean": numbers(of.means),
                f"{name}_min": counts(of.minima),
                f"{name}_max": counts(of.maxima),
            }
        return table(columns)
