"""What ingest reads: logs, messages, feeds and dead letters."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tests.services import station_feeds
from tests.soak.parsers.target import EXTREMES, Parse, Target

LOG = b"""Client Sessions
Client MAC Address,AP Name,Association Time,Session Duration,Map Location,SSID
02:fb:ae:12:7e:8d,ap-14,Thu Oct 15 08:12:01 UTC 2015,1 hrs 0 min 5 sec,"Campus > A",x
02FB.AE12.7E8D,ap-14,2024-10-01T00:00:00+09:00,3605,,
02fb-ae12-7e8d,ap-15,2015-10-15 08:12:01,00:12:01,"a ""b, c",
"""
SESSIONS = [
    b"\t02:fb:ae:12:7e:8d\t2024-10-01T00:00:00Z\t\tap-14\t\t\t\t\t\t\t60\t\t",
    b"10.0.0.1\t02FB.AE12.7E8D\tThu Oct 15 08:12:01 CEST 2015\tv\tap\td\tm\tv\ts\tp\t1\t1 hrs 5 sec\tx\ty",
]


def _log_errors() -> tuple[type[Exception], ...]:
    from privacyplease.ingest.errors import LayoutError, SourceError

    return LayoutError, SourceError


def _feed_errors() -> tuple[type[Exception], ...]:
    from privacyplease.ingest.errors import FeedError

    return (FeedError,)


def _logs(_folder: Path) -> Parse:
    from zoneinfo import ZoneInfo

    from privacyplease.ingest import wifi

    zone = ZoneInfo("Europe/Vienna")

    def parse(data: bytes) -> object:
        return [list(wifi.read(io.BytesIO(data), timezone=given, block_bytes=4_096)) for given in (zone, None)]

    return parse


def _sessions(_folder: Path) -> Parse:
    from privacyplease.ingest.wifi import messages
    from privacyplease.ingest.wifi.columns import SCHEMA

    def parse(data: bytes) -> object:
        batch = data.split(b"\0")
        parsed = messages.parse(batch, None)
        _require_all(batch, parsed.rows.tolist(), [reject.position for reject in parsed.rejects])
        assert parsed.table.schema == SCHEMA
        return parsed

    return parse


def _bikes(_folder: Path) -> Parse:
    from privacyplease.ingest import bikes

    def parse(data: bytes) -> object:
        batch = data.split(b"\0")
        parsed = bikes.parse(batch)
        _require_all(batch, parsed.rows.tolist(), [reject.position for reject in parsed.rejects])
        parsed.table.validate(full=True)
        return parsed

    return parse


def _require_all(batch: list[bytes], accepted: list[int], rejected: list[int]) -> None:
    """Each message must be accepted or rejected, once."""
    assert sorted(accepted + rejected) == list(range(len(batch)))


def _bike_seeds() -> Iterable[bytes]:
    from privacyplease.ingest.feeds.jcdecaux import read_stations

    stations = read_stations(station_feeds.jcdecaux_v1(3), "jcdecaux-v1", station_feeds.MOMENT).stations
    yield b"\0".join(station.message() for station in stations)
    yield b"\0".join(EXTREMES)
    yield b"\0".join(b'{"contract":"x","number":"7","polled_at":%b}' % extreme for extreme in EXTREMES)


def _jcdecaux(_folder: Path) -> Parse:
    from privacyplease.ingest.feeds import json_client
    from privacyplease.ingest.feeds.jcdecaux import JCDecaux

    def parse(data: bytes) -> object:
        documents = _Documents(data, json_client._parsed)
        return [station.message() for station in JCDecaux(documents, "Lyon").poll().stations]  # type: ignore[arg-type]

    return parse


def _gbfs(_folder: Path) -> Parse:
    from privacyplease.ingest.feeds import json_client
    from privacyplease.ingest.feeds.gbfs import Gbfs

    def parse(data: bytes) -> object:
        documents = _Documents(data, json_client._parsed)
        gbfs = Gbfs(documents, "https://bikes.example.org/gbfs.json", language="fr")  # type: ignore[arg-type]
        return [station.message() for station in gbfs.poll().stations]

    return parse


class _Documents:
    """Answers a poller's requests with one JSON document each; the last is repeated."""

    def __init__(self, data: bytes, parsed: Callable[[bytes], object]) -> None:
        from privacyplease.ingest.errors import FeedError

        try:
            self._documents = [parsed(part) for part in data.split(b"\0")]
        except (ValueError, RecursionError) as error:  # as the client does, whose response this would be
            raise FeedError("expected JSON") from error

    def get(self, _url: str, _parameters: Mapping[str, str] | None = None) -> object:
        return self._documents.pop(0) if len(self._documents) > 1 else self._documents[0]


def _jcdecaux_seeds() -> Iterable[bytes]:
    for stations in (station_feeds.jcdecaux_v1(2), station_feeds.jcdecaux_v3(2)):
        yield b"\0".join(json.dumps(document).encode() for document in ([{"name": "Lyon"}], stations))
    for extreme in EXTREMES:
        yield b'[{"name":"lyon"}]\0[{"contract_name":"x","number":7,"last_update":%b}]' % extreme


def _gbfs_seeds() -> Iterable[bytes]:
    names = ("system_information", "station_information", "station_status")
    feeds = {"feeds": [{"name": name, "url": f"https://bikes.example.org/{name}.json"} for name in names]}
    about = {"station_id": "7", "name": [{"text": "Gare", "language": "fr"}], "lat": 45.1, "lon": 4, "capacity": 20}
    about |= {"rental_methods": ["CREDITCARD"], "address": "x"}
    now = {"station_id": "7", "num_bikes_available": 3, "num_docks_available": 4, "last_reported": 1_728_000_000}
    now |= {"is_installed": 1, "is_renting": True, "is_returning": "false"}
    for discovery in (feeds, {"fr": feeds, "en": feeds}):
        data = [discovery, {"system_id": "lyon"}, {"stations": [about]}, {"stations": [now]}]
        yield b"\0".join(json.dumps({"ttl": 60, "data": each}).encode() for each in data)
    yield from (b'{"data":%b}' % extreme for extreme in EXTREMES)


def _dead_letters(_folder: Path) -> Parse:
    from privacyplease.ingest.kafka.dead_letters.dead_letter import DeadLetter

    def parse(data: bytes) -> object:
        letter = DeadLetter.read(_Message(data))  # type: ignore[arg-type]
        return letter and (letter.key, letter.headers)

    return parse


class _Message:
    """A message of Kafka: names and values of headers in turn, and at last the value."""

    def __init__(self, data: bytes) -> None:
        *headers, self._value = data.split(b"\0")
        names = [name.decode(errors="replace") for name in headers[::2]]
        self._headers = list(zip(names, headers[1::2], strict=False))

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def value(self) -> bytes:
        return self._value


LETTER = b"dataset\0wifi\0field\0record\0reason\0expected\0topic\0t\0partition\x000\0offset\x001\0timestamp\x00-1\0x"

TARGETS = {
    "wifi logs": Target(_logs, _log_errors, lambda: [LOG, gzip.compress(LOG)]),
    "wifi messages": Target(_sessions, lambda: (), lambda: [b"\0".join(SESSIONS)]),
    "bike messages": Target(_bikes, lambda: (), _bike_seeds),
    "jcdecaux": Target(_jcdecaux, _feed_errors, _jcdecaux_seeds),
    "gbfs": Target(_gbfs, _feed_errors, _gbfs_seeds),
    "dead letters": Target(_dead_letters, lambda: (), lambda: [LETTER]),
}
