import json

import pytest

from privacyplease.ingest.errors import FeedError, FeedRefusedError
from privacyplease.ingest.feeds import Gbfs, JsonClient
from tests.services import station_feeds
from tests.services.feed_server import FeedServer

VERSIONS = ["1.0", "2.3", "3.0"]


def serve(server: FeedServer, version: str, count: int = 3, ttl: int = 0, seed: int = 1) -> str:
    for path, document in station_feeds.gbfs(server.url, version, count, ttl=ttl, seed=seed).items():
        server.put(path, document)
    return f"{server.url}/gbfs.json"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_gives_the_same_messages(server: FeedServer, version: str) -> None:
    snapshot = Gbfs(JsonClient(), serve(server, version, 2_400)).poll()
    assert len(snapshot.stations) == 2_400
    number = "2147483648" if version == "1.0" else "hub-0"
    expected = {
        "contract": "Bycyklen_KGE",
        "number": number,
        "name": f"Køge Torv {number}",
        "address": "Torvet 1",
        "position": {"lat": 55.5, "lng": 12.25},
        "banking": True,
        "bonus": None,
        "status": "OPEN",
        "capacity": 20,
        "last_update": 1_728_000_000_000,
        "source": "gbfs",
    }
    message = json.loads(snapshot.stations[0].message())
    assert {name: message[name] for name in expected} == expected
    assert message.keys() - expected.keys() == {"available_bikes", "available_bike_stands", "polled_at"}


def test_the_wanted_language_is_used_if_available(server: FeedServer) -> None:
    url = serve(server, "3.0")
    names = {
        language: Gbfs(JsonClient(), url, language=language).poll().stations[0].name
        for language in ("da", "de", "en-US")
    }
    assert names == {"da": "Køge Torv hub-0 (da)", "de": "Køge Torv hub-0", "en-US": "Køge Torv hub-0"}


def test_a_file_is_fetched_again_once_its_ttl_has_passed(server: FeedServer) -> None:
    url = serve(server, "2.3", ttl=3_600)
    status = station_feeds.gbfs(server.url, "2.3", 3)["/station_status.json"]
    server.put("/station_status.json", status)  # of ttl 0
    feed = Gbfs(JsonClient(), url)
    first, second = feed.poll(), feed.poll()
    assert first.stations == second.stations
    assert server.statuses("/gbfs.json") == server.statuses("/station_information.json") == [200]
    assert server.statuses("/station_status.json") == [200, 304]
    assert second.fresh_for == 0
    assert Gbfs(JsonClient(), serve(server, "2.3", ttl=3_600)).poll().fresh_for == pytest.approx(3_600, abs=5)


def test_stations_without_information_or_a_time_are_kept(server: FeedServer) -> None:
    url = serve(server, "1.0", 1)
    stations = [{"station_id": 2**40, "num_bikes_available": 1}, {"station_id": None}, 7]
    server.put("/station_status.json", {"ttl": None, "data": {"stations": stations}})
    snapshot = Gbfs(JsonClient(), url).poll()
    [station] = snapshot.stations
    assert (station.number, station.name, station.position, station.last_update) == (str(2**40), None, None, None)
    assert (station.status, station.available_bikes, snapshot.unreadable) == (None, 1, 2)


def test_after_a_failure_it_starts_again_from_auto_discovery(server: FeedServer) -> None:
    feed = Gbfs(JsonClient(), serve(server, "3.0", ttl=0))
    server.fail("/station_status.json", 500)
    with pytest.raises(FeedError, match="HTTP status 500"):
        feed.poll()
    assert len(feed.poll().stations) == 3


def test_a_document_that_is_not_a_system_with_stations_is_refused(server: FeedServer) -> None:
    server.put("/other.json", {"data": {"x": 1}})
    with pytest.raises(FeedRefusedError, match="auto-discovery"):
        Gbfs(JsonClient(), f"{server.url}/other.json").poll()
    server.put("/gbfs.json", {"data": {"feeds": [{"name": "free_bike_status", "url": "x"}]}})
    with pytest.raises(FeedRefusedError, match="station_information and station_status"):
        Gbfs(JsonClient(), f"{server.url}/gbfs.json").poll()


def _with_status(server: FeedServer, *records: dict[str, object], **document: object) -> str:
    url = serve(server, "2.3")
    server.put(
        "/station_status.json", {"ttl": 0, "last_updated": 1_728_000_000, "data": {"stations": records}, **document}
    )
    return url


@pytest.mark.parametrize(
    ("record", "bikes"),
    [
        ({"num_bikes_available": -3}, None),
        ({"num_bikes_available": 10**7}, None),
        ({"num_bikes_available": 0}, 0),
        ({"num_bikes_available": None, "num_vehicles_available": 4}, 4),
        ({"num_bikes_available": "many", "num_vehicles_available": 4}, 4),
        ({"num_bikes_available": 5, "num_vehicles_available": 4}, 5),
    ],
)
def test_an_impossible_count_is_none(server: FeedServer, record: dict[str, object], bikes: int | None) -> None:
    [station] = Gbfs(JsonClient(), _with_status(server, {"station_id": "1", **record})).poll().stations
    assert station.available_bikes == bikes


def test_duplicates_and_stations_without_status_are_counted(server: FeedServer) -> None:
    status = {"station_id": "hub-0", "num_bikes_available": 1}
    snapshot = Gbfs(JsonClient(), _with_status(server, status, {**status, "num_bikes_available": 2})).poll()
    assert [station.available_bikes for station in snapshot.stations] == [2]
    assert (snapshot.duplicates, snapshot.incomplete, snapshot.updated_at) == (1, 2, 1_728_000_000_000)


def test_the_contract_may_be_named(server: FeedServer) -> None:
    assert {each.contract for each in Gbfs(JsonClient(), serve(server, "2.3"), contract="nord").poll().stations} == {
        "nord"
    }


@pytest.mark.parametrize("ttl", [3_600, 60_000, 10**12])
def test_a_long_ttl_can_be_capped(server: FeedServer, ttl: int) -> None:
    url = serve(server, "2.3", ttl=ttl)
    assert Gbfs(JsonClient(), url).poll().fresh_for > 3_000
    assert Gbfs(JsonClient(), url, max_ttl=60).poll().fresh_for <= 60


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html>maintenance</html>", "a page or XML"),
        (b"\x1f\x8b\x08\x00", "gzip without a header that says so"),
        ('{"name": "é"}'.encode("latin-1"), "text that is not UTF-8"),
        (b"", "nothing"),
        (b'{"data": {', "other text, or JSON that is cut short"),
    ],
)
def test_an_error_names_the_file_and_what_came(server: FeedServer, body: bytes, what: str) -> None:
    url = serve(server, "2.3")
    server.put("/station_status.json", body)
    with pytest.raises(FeedError, match=f"station_status.json of 127.0.0.1: expected JSON, got {what}"):
        Gbfs(JsonClient(), url).poll()


def test_an_invalid_url_of_a_file_is_as_if_it_were_not_listed(server: FeedServer) -> None:
    for path, document in station_feeds.gbfs(server.url, "3.0", 3).items():
        if path.endswith("gbfs.json"):
            text = json.dumps(document)
            document["data"]["feeds"].append({"name": "geofencing_zones", "url": "http://["})  # type: ignore[index]
        server.put(path, document)
    url = f"{server.url}/gbfs.json"
    assert len(Gbfs(JsonClient(), url).poll().stations) == 3
    listed = json.loads(text)
    for feed in listed["data"]["feeds"]:
        feed["url"] = "http://["
    server.put("/gbfs.json", listed)
    with pytest.raises(FeedRefusedError, match="expected a GBFS system with"):
        Gbfs(JsonClient(), url).poll()
