"""GBFS, the General Bikeshare Feed Specification, 1.0 to 3.0: recognised by structure, not by version number."""

import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from privacyplease.ingest.errors import FeedError, FeedRefusedError
from privacyplease.ingest.feeds import json_values
from privacyplease.ingest.feeds.json_client import JsonClient, url_name
from privacyplease.ingest.feeds.station import Snapshot, Station

__all__ = ["Gbfs"]

_MAX_TTL_S = 86_400.0
_CARDS = {"CREDITCARD", "PAYPASS", "ANDROIDPAY", "APPLEPAY"}

Record = Mapping[str, object]


class _CachedFile(NamedTuple):
    document: Record
    fresh_until: float  # by the monotonic clock


class Gbfs:
    """The stations of a system. Each of its files is fetched again once its `ttl` has passed.

    Args:
        client: Fetches documents.
        url: The URL of its auto-discovery file `gbfs.json`.
        language: The language of names, such as "fr", if there are several; else English, else the first.
        contract: Whose stations they are; by default the system's ID, which other systems may have too.
        max_ttl: For how many seconds a file is fresh at most, whatever it says.
    """

    source = "gbfs"
    name = "gbfs"

    def __init__(
        self,
        client: JsonClient,
        url: str,
        *,
        language: str = "en",
        contract: str | None = None,
        max_ttl: float = _MAX_TTL_S,
    ) -> None:
        self._client = client
        self._url = url
        self._language = language
        self._contract = contract
        self._max_ttl = max_ttl
        self._cache: dict[str, _CachedFile] = {}

    def poll(self) -> Snapshot:
        """Fetches the files that are no longer fresh.

        Raises:
            FeedRefusedError: If it is not a GBFS system, or has no stations.
            FeedError: If the feed does not respond as expected.
        """
        try:
            return self._snapshot()
        except FeedError:
            self._cache.clear()  # the files may have moved: start again from auto-discovery
            raise

    def _snapshot(self) -> Snapshot:
        urls = self._discovered()
        if missing := {"station_information", "station_status"} - urls.keys():
            raise FeedRefusedError(f"expected a GBFS system with {' and '.join(sorted(missing))}, got one without")
        contract = self._contract or self._system(urls)
        information = {
            number: record
            for record in self._stations(urls["station_information"])
            if (number := json_values.identifier(record.get("station_id")))
        }
        stations: dict[str, Station] = {}
        unreadable, duplicates, polled_at = 0, 0, int(time.time() * 1_000)
        for record in self._stations(urls["station_status"]):
            number = json_values.identifier(record.get("station_id"))
            if number is None:
                unreadable += 1
            else:
                duplicates += number in stations
                stations[number] = self._station(contract, number, information.get(number, {}), record, polled_at)
        status = self._cache[urls["station_status"]]
        return Snapshot(
            list(stations.values()),
            unreadable,
            max(status.fresh_until - time.monotonic(), 0),
            duplicates=duplicates,
            incomplete=len(information.keys() - stations.keys()),
            updated_at=json_values.unix_ms(status.document.get("last_updated"), unit=1_000),
        )

    def _station(self, contract: str, number: str, information: Record, status: Record, polled_at: int) -> Station:
        bikes = json_values.count(status.get("num_bikes_available"))
        if bikes is None:
            bikes = json_values.count(status.get("num_vehicles_available"))  # since version 3.0
        return Station(
            contract=contract,
            number=number,
            name=self._text(information.get("name")),
            address=self._text(information.get("address")),
            position=json_values.position(information),
            banking=_banking(information.get("rental_methods")),
            bonus=None,
            status=_status(status),
            capacity=json_values.count(information.get("capacity")),
            available_bikes=bikes,
            available_bike_stands=json_values.count(status.get("num_docks_available")),
            last_update=json_values.unix_ms(status.get("last_reported"), unit=1_000),
            source=self.source,
            polled_at=polled_at,
        )

    def _discovered(self) -> dict[str, str]:
        """The URL of each file, by its name."""
        data = _data(self._fresh(self._url))
        if "feeds" not in data:  # up to version 2.3 there is one list per language
            languages = {name: each for name, each in data.items() if isinstance(each, Mapping) and "feeds" in each}
            data = languages[chosen] if (chosen := self._chosen(list(languages))) else {}
        feeds = data.get("feeds")
        if not isinstance(feeds, list):
            raise FeedRefusedError("expected a GBFS auto-discovery file with a list of feeds, got another document")
        named = {str(feed.get("name")): feed.get("url") for feed in feeds if isinstance(feed, Mapping)}
        urls = {name.removesuffix(".json"): _joined(self._url, str(url)) for name, url in named.items()}
        return {name: url for name, url in urls.items() if url is not None}

    def _system(self, urls: Mapping[str, str]) -> str:
        """The system's ID, or its host name if it has none."""
        system_id = None
        if "system_information" in urls:
            system_id = json_values.identifier(_data(self._fresh(urls["system_information"])).get("system_id"))
        name = system_id or urlsplit(self._url).hostname or "gbfs"
        return name.replace("/", "-")

    def _stations(self, url: str) -> list[Record]:
        stations = _data(self._fresh(url)).get("stations")
        if not isinstance(stations, list):
            raise FeedError(f"expected a list of stations in {url_name(url)}, got another document")
        return [station if isinstance(station, Mapping) else {} for station in stations]

    def _fresh(self, url: str) -> Record:
        cached = self._cache.get(url)
        if cached is None or time.monotonic() >= cached.fresh_until:
            document = self._client.get(url)
            if not isinstance(document, Mapping):
                raise FeedError(f"expected a JSON object in {url_name(url)}, got {type(document).__name__}")
            ttl = min(max(json_values.number(document.get("ttl")) or 0, 0), self._max_ttl)
            self._cache[url] = cached = _CachedFile(document, time.monotonic() + ttl)
        return cached.document

    def _text(self, value: object) -> str | None:
        """A text, which since version 3.0 is a list of `{text, language}`."""
        if not isinstance(value, list):
            return json_values.text(value)
        texts = {str(each.get("language")): each.get("text") for each in value if isinstance(each, Mapping)}
        return json_values.text(texts[chosen]) if (chosen := self._chosen(list(texts))) else None

    def _chosen(self, languages: list[str]) -> str | None:
        """The wanted language, or a variant of it (en-US for en), or English, or the first."""
        for wanted in (self._language.lower(), "en"):
            for exact in (True, False):
                for each in languages:
                    if each.lower() == wanted if exact else each.lower().partition("-")[0] == wanted.partition("-")[0]:
                        return each
        return next(iter(languages), None)


def _joined(base: str, url: str) -> str | None:
    """A URL, which may be relative to the base; None if it is invalid."""
    try:
        return urljoin(base, url)
    except ValueError:
        return None


def _data(document: Record) -> Record:
    data = document.get("data")
    return data if isinstance(data, Mapping) else {}


def _banking(methods: object) -> bool | None:
    return any(str(each).upper() in _CARDS for each in methods) if isinstance(methods, list) else None


def _status(record: Record) -> str | None:
    """Open if the station is installed and bikes can be taken or returned."""
    installed, renting, returning = (
        json_values.boolean(record.get(name)) for name in ("is_installed", "is_renting", "is_returning")
    )
    if installed is None and renting is None and returning is None:
        return None
    is_open = installed is not False and (renting is not False or returning is not False)
    return "OPEN" if is_open else "CLOSED"
