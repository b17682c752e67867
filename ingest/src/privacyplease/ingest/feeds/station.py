"""The one form that a station has on the bus, whichever feed it came from. See `ingest/DESIGN.md`."""

import json
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

__all__ = ["Snapshot", "Station"]


@dataclass(frozen=True, slots=True, repr=False)
class Station:
    """What a feed says about a station at one time; null where it says nothing. Equal if all but `polled_at` is.

    Attributes:
        contract: Whose station it is: a city's contract, a GBFS system; as the feed spells it. Has no slash.
        number: Its number, unique only within the contract.
        name: Its name, as it is.
        address: Its address, as it is; may be empty.
        position: Latitude and longitude, degrees.
        banking: Whether it takes cards.
        bonus: Whether returning a bike there earns something.
        status: `OPEN` or `CLOSED`.
        capacity: How many stands it has; often not the sum of the next two.
        available_bikes: How many bikes are there to take.
        available_bike_stands: How many stands are there to return to.
        last_update: When the station said so, ms since the epoch, UTC; may be years ago.
        source: Which feed: `jcdecaux-v1`, `jcdecaux-v3`, `gbfs`.
        polled_at: When we asked, ms since the epoch, UTC.
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
        """What it is called among all stations: contract/number, without regard to the contract's case."""
        return f"{self.contract.casefold()}/{self.number}"

    def message(self) -> bytes:
        """The station as a JSON object, UTF-8."""
        fields = asdict(self)
        if self.position is not None:
            fields["position"] = dict(zip(("lat", "lng"), self.position, strict=True))
        return json.dumps(fields, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    def __repr__(self) -> str:
        return "Station(***)"  # plaintext


class Snapshot(NamedTuple):
    """What a feed says at one time.

    Attributes:
        stations: The stations, each once.
        unreadable: How many records were none.
        fresh_for: Seconds until it makes sense to ask again.
    """

    stations: list[Station]
    unreadable: int
    fresh_for: float = 0
