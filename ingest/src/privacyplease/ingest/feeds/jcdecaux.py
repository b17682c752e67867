"""JCDecaux's open data: `/vls/v1/stations` and `/vls/v3/stations`."""

import time
from collections.abc import Iterable, Mapping
from typing import Literal

from privacyplease.ingest.feeds import readings
from privacyplease.ingest.feeds.station import Snapshot, Station
from privacyplease.ingest.feeds.web import Web
from privacyplease.ingest.stream_errors import FeedError, FeedRefusedError

__all__ = ["KEY_PARAMETER", "KEY_VARIABLE", "URL", "JCDecaux", "Version", "read_stations"]

KEY_PARAMETER = "apiKey"
KEY_VARIABLE = "JCDECAUX_API_KEY"
URL = "https://api.jcdecaux.com/vls"

Version = Literal["v1", "v3"]


class JCDecaux:
    """The stations of a contract, or of all.

    Args:
        web: Fetches documents, with the key.
        contract: The contract's name, in any case; None for all contracts.
        version: Which form of the API.
        url: Where the API is.
    """

    def __init__(self, web: Web, contract: str | None = None, *, version: Version = "v1", url: str = URL) -> None:
        self._web = web
        self._contract = contract
        self._listed: str | None = None
        self._url = f"{url.rstrip('/')}/{version}"
        self.source = f"jcdecaux-{version}"

    def poll(self) -> Snapshot:
        """Asks for the stations.

        Raises:
            FeedRefusedError: If the key is wrong or the contract does not exist.
            FeedError: If there is no answer or not the one expected.
        """
        parameters = {} if self._contract is None else {"contract": self._name(self._contract)}
        records = self._web.get(f"{self._url}/stations", parameters)
        if not isinstance(records, list):
            raise FeedError(f"expected a JSON array of stations, got {type(records).__name__}")
        return read_stations(records, self.source, int(time.time() * 1_000), parameters.get("contract"))

    def _name(self, wanted: str) -> str:
        """Finds how the API spells the contract."""
        if self._listed is None:
            contracts = self._web.get(f"{self._url}/contracts")
            if not isinstance(contracts, list):
                raise FeedError(f"expected a JSON array of contracts, got {type(contracts).__name__}")
            names = [str(each.get("name")) for each in contracts if isinstance(each, Mapping)]
            found = [name for name in names if name.casefold() == wanted.strip().casefold()]
            if not found:
                raise FeedRefusedError(f"expected a contract of {', '.join(sorted(names)) or 'none'}; got another")
            self._listed = found[0]
        return self._listed


def read_stations(records: Iterable[object], source: str, polled_at: int, contract: str | None = None) -> Snapshot:
    """Reads the records of a response, of either version.

    Args:
        records: The JSON objects.
        source: Which feed they are from.
        polled_at: When we asked, ms since the epoch, UTC.
        contract: The contract of stations that do not tell theirs.
    """
    stations: dict[str, Station] = {}
    unreadable = 0
    for record in records:
        station = _station(record, source, polled_at, contract) if isinstance(record, Mapping) else None
        if station is None:
            unreadable += 1
        else:
            stations[station.key] = station  # of one that is there twice, the last counts
    return Snapshot(list(stations.values()), unreadable)


def _station(record: Mapping[str, object], source: str, polled_at: int, contract: str | None) -> Station | None:
    owner = readings.name(record.get("contract_name") or record.get("contractName") or contract)
    number = readings.name(record.get("number"))
    if owner is None or number is None or "/" in owner:
        return None
    stands = record.get("totalStands")
    v3 = stands if isinstance(stands, Mapping) else {}
    counts = v3.get("availabilities")
    available = counts if isinstance(counts, Mapping) else {}
    return Station(
        contract=owner,
        number=number,
        name=readings.text(record.get("name")),
        address=readings.text(record.get("address")),
        position=readings.position(record),
        banking=readings.truth(record.get("banking")),
        bonus=readings.truth(record.get("bonus")),
        status=(readings.name(record.get("status")) or "").upper() or None,
        capacity=readings.whole(record.get("bike_stands", v3.get("capacity"))),
        available_bikes=readings.whole(record.get("available_bikes", available.get("bikes"))),
        available_bike_stands=readings.whole(record.get("available_bike_stands", available.get("stands"))),
        last_update=readings.moment(record.get("last_update", record.get("lastUpdate"))),
        source=source,
        polled_at=polled_at,
    )
