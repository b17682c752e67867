"""The message format of a station, whichever feed it came from. See `ingest/DESIGN.md`."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

__all__ = ["Snapshot", "Station"]


@dataclass(frozen=True, slots=True, repr=False)
class Station:
    """What a feed reports about a station at one time; null where it says nothing. Equality ignores `polled_at`.

    Attributes:
        contract: Whose station it is: a city's contract or a GBFS system, as the feed spells it. Without a slash.
        number: Its number, unique only within the contract.
        name: Its name, unchanged.
        address: Its address, unchanged; may be empty.
        position: Latitude and longitude, degrees.
        banking: Whether it accepts cards.
        bonus: Whether returning a bike there earns something.
        status: `OPEN` or `CLOSED`.
        capacity: How many stands it has; often not the sum of the next two.
        available_bikes: How many bikes can be taken.
        available_bike_stands: How many stands are free.
        last_update: When the station reported this, ms since the epoch, UTC; may be years ago.
        source: Which feed: `jcdecaux-v1`, `jcdecaux-v3`, `gbfs`.
        polled_at: When we polled the feed, ms since the epoch, UTC.
    """

    contract: str
    number: str
    name: str | None
    address: str | None
    position: tuple[float, float] | None
    banking: bool | None
    bonus: bool | None
    status: str | None
    capacity: int | None
    available_bikes: int | None
    available_bike_stands: int | None
    last_update: int | None
    source: str
    polled_at: int = field(compare=False)

    @property
    def key(self) -> str:
        """Identifies it among all stations: contract/number, with the case of the contract ignored."""
        return f"{self.contract.casefold()}/{self.number}"

    def message(self) -> bytes:
        """The station as a JSON object, UTF-8."""
        fields = asdict(self)
        if self.position is not None:
            fields["position"] = dict(zip(("lat", "lng"), self.position, strict=True))
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    def gone(self, polled_at: int) -> "Station":
        """The station once its feed no longer has it: closed, without counts, from the poll that lacked it."""
        return replace(
            self,
            status="CLOSED",
            capacity=None,
            available_bikes=None,
            available_bike_stands=None,
            last_update=None,
            polled_at=polled_at,
        )

    def __repr__(self) -> str:
        return "Station(***)"  # plaintext


class Snapshot(NamedTuple):
    """What a feed reports at one time.

    Attributes:
        stations: The stations, each once.
        unreadable: How many records are not stations.
        fresh_for: For how many seconds the feed declares this to be fresh.
        duplicates: How many records are of a station that another is of, too; the last counts.
        incomplete: How many stations are described and have no status.
        updated_at: When the feed says it was made, ms since the epoch, UTC; None if it does not say.
    """

    stations: list[Station]
    unreadable: int
    fresh_for: float = 0
    duplicates: int = 0
    incomplete: int = 0
    updated_at: int | None = None
