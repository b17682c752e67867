"""JCDecaux's open data: `/vls/v1/stations` and `/vls/v3/stations`."""

import time
from collections.abc import Iterable, Mapping
from typing import Literal

from privacyplease.ingest.errors import FeedError, FeedRefusedError
from privacyplease.ingest.feeds import json_values
from privacyplease.ingest.feeds.json_client import JsonClient
from privacyplease.ingest.feeds.station import Snapshot, Station

__all__ = ["KEY_PARAMETER", "KEY_VARIABLE", "URL", "JCDecaux", "Version", "read_stations"]

KEY_PARAMETER = "apiKey"
KEY_VARIABLE = "JCDECAUX_API_KEY"
URL = "https://api.jcdecaux.com/vls"

Version = Literal["v1", "v3"]


class JCDecaux:
    """The stations of a contract, or of all.

    Args:
        client: Fetches documents, with the key.
        contract: The contract's name, in any case; None for all contracts.
        version: The version of the API.
        url: The API's base URL.
    """

    def __init__(
        self, client: JsonClient, contract: str | None = None, *, version: Version = "v1", url: str = URL
    ) -> None:
        self._client = client
        self._contract = contract
        self._spelling: str | None = None
        self._url = f"{url.rstrip('/')}/{version}"
        self.source = f"jcdecaux-{version}"
        self.name = f"{self.source} {contract}" if contract else self.source

    def poll(self) -> Snapshot:
        """Fetches the stations.

        Raises:
            FeedRefusedError: If the key is wrong or the contract does not exist.
            FeedError: If the feed does not respond as expected.
        """
        parameters = {} if self._contract is None else {"contract": self._name(self._contract)}
        records = self._client.get(f"{self._url}/stations", parameters)
        if not isinstance(records, list):
            raise FeedError(f"expected a JSON array of stations, got {type(records).__name__}")
        return read_stations(records, self.source, int(time.time() * 1_000), parameters.get("contract"))

    def _name(self, wanted: str) -> str:
        """How the API spells the contract."""
        if self._spelling is None:
            contracts = self._client.get(f"{self._url}/contracts")
            if not isinstance(contracts, list):
                raise FeedError(f"expected a JSON array of contracts, got {type(contracts).__name__}")
            names = [str(each.get("name")) for each in contracts if isinstance(each, Mapping)]
            matches = [name for name in names if name.casefold() == wanted.strip().casefold()]
            if not matches:
                known = ", ".join(sorted(names)) or "(none)"
                raise FeedRefusedError(f"expected one of the contracts {known}, got another")
            self._spelling = matches[0]
        return self._spelling


def read_stations(records: Iterable[object], source: str, polled_at: int, contract: str | None = None) -> Snapshot:
    """Reads the records of a response of either version.

    Args:
        records: The JSON objects.
        source: Which feed they are from.
        polled_at: When we polled the feed, ms since the epoch, UTC.
        contract: The contract of stations that do not name theirs.
    """
    stations: dict[str, Station] = {}
    unreadable = duplicates = 0
    for record in records:
        station = _station(record, source, polled_at, contract) if isinstance(record, Mapping) else None
        if station is None:
            unreadable += 1
        else:
            duplicates += station.key in stations
            stations[station.key] = station
    return Snapshot(list(stations.values()), unreadable, duplicates=duplicates)


def _station(record: Mapping[str, object], source: str, polled_at: int, contract: str | None) -> Station | None:
    owner = json_values.identifier(record.get("contract_name") or record.get("contractName") or contract)
    number = json_values.identifier(record.get("number"))
    if owner is None or number is None or "/" in owner:
        return None
    stands = record.get("totalStands")
    v3 = stands if isinstance(stands, Mapping) else {}
    counts = v3.get("availabilities")
    available = counts if isinstance(counts, Mapping) else {}
    return Station(
        contract=owner,
        number=number,
        name=json_values.text(record.get("name")),
        address=json_values.text(record.get("address")),
        position=json_values.position(record),
        banking=json_values.boolean(record.get("banking")),
        bonus=json_values.boolean(record.get("bonus")),
        status=(json_values.identifier(record.get("status")) or "").upper() or None,
        capacity=json_values.count(record.get("bike_stands", v3.get("capacity"))),
        available_bikes=json_values.count(record.get("available_bikes", available.get("bikes"))),
        available_bike_stands=json_values.count(record.get("available_bike_stands", available.get("stands"))),
        last_update=json_values.unix_ms(record.get("last_update", record.get("lastUpdate"))),
        source=source,
        polled_at=polled_at,
    )
