"""GBFS, the General Bikeshare Feed Specification, any version from 1.0 to 3.0: known by its form, not by its number."""

import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from privacyplease.ingest.feeds import readings
from privacyplease.ingest.feeds.station import Snapshot, Station
from privacyplease.ingest.feeds.web import Web
from privacyplease.ingest.stream_errors import FeedError, FeedRefusedError

__all__ = ["Gbfs"]

_LONGEST_TTL = 86_400.0
_CARDS = {"CREDITCARD", "PAYPASS", "ANDROIDPAY", "APPLEPAY"}

Record = Mapping[str, object]


class _Kept(NamedTuple):
    document: Record
    until: float  # by the monotonic clock


class Gbfs:
    """The stations of a system. Each of its files is asked for again when its `ttl` is over.

    Args:
        web: Fetches documents.
        url: Where its auto-discovery file `gbfs.json` is.
        language: The language of names where there are several, as "fr"; else English, else the first.
    """

    source = "gbfs"

    def __init__(self, web: Web, url: str, *, language: str = "en") -> None:
        self._web = web
        self._url = url
        self._language = language
        self._kept: dict[str, _Kept] = {}

    def poll(self) -> Snapshot:
        """Asks for what is no longer fresh.

        Raises:
            FeedRefusedError: If it is no GBFS system, or one without stations.
            FeedError: If there is no answer or not the one expected.
        """
        try:
            return self._snapshot()
        except FeedError:
            self._kept.clear()  # the files may have moved: begin again with the discovery
            raise

    def _snapshot(self) -> Snapshot:
        urls = self._discovered()
        if missing := {"station_information", "station_status"} - urls.keys():
            raise FeedRefusedError(f"expected a GBFS system with {' and '.join(sorted(missing))}, got none")
        contract = self._system(urls)
        information = {
            number: record
            for record in self._stations(urls["station_information"])
            if (number := readings.name(record.get("station_id")))
        }
        stations: dict[str, Station] = {}
        unreadable, polled_at = 0, int(time.time() * 1_000)
        for record in self._stations(urls["station_status"]):
            number = readings.name(record.get("station_id"))
            if number is None:
                unreadable += 1
            else:
                stations[number] = self._station(contract, number, information.get(number, {}), record, polled_at)
        fresh_for = self._kept[urls["station_status"]].until - time.monotonic()
        return Snapshot(list(stations.values()), unreadable, max(fresh_for, 0))

    def _station(self, contract: str, number: str, information: Record, status: Record, polled_at: int) -> Station:
        bikes = status.get("num_bikes_available", status.get("num_vehicles_available"))  # the latter since 3.0
        return Station(
            contract=contract,
            number=number,
            name=self._words(information.get("name")),
            address=self._words(information.get("address")),
            position=readings.position(information),
            banking=_banking(information.get("rental_methods")),
            bonus=None,
            status=_status(status),
            capacity=readings.whole(information.get("capacity")),
            available_bikes=readings.whole(bikes),
            available_bike_stands=readings.whole(status.get("num_docks_available")),
            last_update=readings.moment(status.get("last_reported"), unit=1_000),
            source=self.source,
            polled_at=polled_at,
        )

    def _discovered(self) -> dict[str, str]:
        """Where each file is, by its name."""
        data = _data(self._fresh(self._url))
        if "feeds" not in data:  # until 2.3 there is a list a language
            languages = {name: each for name, each in data.items() if isinstance(each, Mapping) and "feeds" in each}
            data = languages[chosen] if (chosen := self._chosen(list(languages))) else {}
        feeds = data.get("feeds")
        if not isinstance(feeds, list):
            raise FeedRefusedError("expected a GBFS auto-discovery file with a list of feeds, got another document")
        return {
            str(feed.get("name")).removesuffix(".json"): urljoin(self._url, str(feed.get("url")))
            for feed in feeds
            if isinstance(feed, Mapping)
        }

    def _system(self, urls: Mapping[str, str]) -> str:
        """What the system calls itself; its host where it does not."""
        told = None
        if "system_information" in urls:
            told = readings.name(_data(self._fresh(urls["system_information"])).get("system_id"))
        name = told or urlsplit(self._url).hostname or "gbfs"
        return name.replace("/", "-")

    def _stations(self, url: str) -> list[Record]:
        stations = _data(self._fresh(url)).get("stations")
        if not isinstance(stations, list):
            raise FeedError("expected a GBFS file with a list of stations, got another document")
        return [station if isinstance(station, Mapping) else {} for station in stations]

    def _fresh(self, url: str) -> Record:
        kept = self._kept.get(url)
        if kept is None or time.monotonic() >= kept.until:
            document = self._web.get(url)
            if not isinstance(document, Mapping):
                raise FeedError(f"expected a GBFS file, which is a JSON object, got {type(document).__name__}")
            ttl = min(max(readings.floating(document.get("ttl")) or 0, 0), _LONGEST_TTL)
            self._kept[url] = kept = _Kept(document, time.monotonic() + ttl)
        return kept.document

    def _words(self, value: object) -> str | None:
        """Since 3.0 a text is a list of `{text, language}`."""
        if not isinstance(value, list):
            return readings.text(value)
        texts = {str(each.get("language")): each.get("text") for each in value if isinstance(each, Mapping)}
        return readings.text(texts[chosen]) if (chosen := self._chosen(list(texts))) else None

    def _chosen(self, languages: list[str]) -> str | None:
        """The wanted language, or a form of it (en-US for en), or the first."""
        for wanted in (self._language.lower(), "en"):
            for exact in (True, False):
                for each in languages:
                    if each.lower() == wanted if exact else each.lower().partition("-")[0] == wanted.partition("-")[0]:
                        return each
        return next(iter(languages), None)


def _data(document: Record) -> Record:
    data = document.get("data")
    return data if isinstance(data, Mapping) else {}


def _banking(methods: object) -> bool | None:
    return any(str(each).upper() in _CARDS for each in methods) if isinstance(methods, list) else None


def _status(record: Record) -> str | None:
    """Open if it is there and one can take or return a bike."""
    installed, renting, returning = (
        readings.truth(record.get(name)) for name in ("is_installed", "is_renting", "is_returning")
    )
    if installed is None and renting is None and returning is None:
        return None
    is_open = installed is not False and (renting is not False or returning is not False)
    return "OPEN" if is_open else "CLOSED"
