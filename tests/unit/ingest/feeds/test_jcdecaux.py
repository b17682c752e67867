import json
from pathlib import Path

import pytest

from privacyplease.ingest.errors import FeedError, FeedRefusedError
from privacyplease.ingest.feeds import ApiKey, JCDecaux, JsonClient
from privacyplease.ingest.feeds.jcdecaux import read_stations
from tests.services import station_feeds
from tests.services.feed_server import FeedServer

KEY = "k3y/with+signs"


@pytest.fixture
def client() -> JsonClient:
    return JsonClient(("apiKey", ApiKey(KEY)))


def test_the_real_response_of_lund_gives_one_station_per_record(
    bikes: Path, server: FeedServer, client: JsonClient
) -> None:
    records = json.loads((bikes / "lund_stations_v1.json").read_bytes())
    server.put("/v1/stations", (bikes / "lund_stations_v1.json").read_bytes())
    server.put("/v1/contracts", (bikes / "contracts_v1.json").read_bytes())
    snapshot = JCDecaux(client, "LUND", url=server.url).poll()
    assert snapshot.unreadable == 0
    assert [station.key for station in snapshot.stations] == [f"lund/{record['number']}" for record in records]
    assert [station.name for station in snapshot.stations] == [record["name"] for record in records]
    assert [station.last_update for station in snapshot.stations] == [record["last_update"] for record in records]
    # The request has the API's own spelling of the contract, and the key.
    assert server.requests[-1].parameters == {"contract": "Lund", "apiKey": KEY}


def test_flat_positions_and_numeric_booleans_are_read(bikes: Path) -> None:
    for line in (bikes / "besancon_snapshots_v1.ndjson").read_text(encoding="utf-8").splitlines():
        records = json.loads(line)
        snapshot = read_stations(records, "jcdecaux-v1", 1)
        for record, station in zip(records, snapshot.stations, strict=True):
            message = json.loads(station.message())
            assert message["position"] == {"lat": record["lat"], "lng": record["lng"]}
            assert message["banking"] is bool(record["banking"])
            assert message["contract"] == "Besancon"
            assert (message["name"], message["address"]) == (record["name"], record["address"])


def test_both_versions_give_the_same_stations(server: FeedServer, client: JsonClient) -> None:
    server.put("/v1/stations", station_feeds.jcdecaux_v1(2_400))
    server.put("/v3/stations", station_feeds.jcdecaux_v3(2_400))
    old, new = (JCDecaux(client, version=each, url=server.url).poll() for each in ("v1", "v3"))
    assert len(old.stations) == len(new.stations) == 2_400
    differing = {"source", "polled_at", "last_update", "contract"}
    for one, other in zip(old.stations, new.stations, strict=True):
        pair = [json.loads(each.message()) for each in (one, other)]
        assert {k: v for k, v in pair[0].items() if k not in differing} == {
            k: v for k, v in pair[1].items() if k not in differing
        }
        assert one.key == other.key
        assert (one.last_update is None) == (other.last_update is None)


def test_records_without_a_number_are_counted_and_the_others_kept() -> None:
    records = [{"number": 1}, {"number": None}, [], {"name": "x"}, {"number": 2, "contract_name": "B"}]
    snapshot = read_stations(records, "jcdecaux-v1", 1, "A")
    assert ([station.key for station in snapshot.stations], snapshot.unreadable) == (["a/1", "b/2"], 3)


def test_an_unknown_contract_is_refused_with_the_known_ones(server: FeedServer, client: JsonClient) -> None:
    server.put("/v1/contracts", [{"name": "Lyon"}, {"name": "Lund"}])
    with pytest.raises(FeedRefusedError, match="expected one of the contracts Lund, Lyon, got another"):
        JCDecaux(client, "Atlantis", url=server.url).poll()


def test_a_response_that_is_not_an_array_is_an_error(server: FeedServer, client: JsonClient) -> None:
    server.put("/v1/stations", {"error": "later"})
    with pytest.raises(FeedError, match="expected a JSON array"):
        JCDecaux(client, url=server.url).poll()
