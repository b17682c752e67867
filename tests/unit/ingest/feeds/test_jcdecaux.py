import json
from pathlib import Path

import pytest

from privacyplease.ingest.feeds import ApiKey, JCDecaux, Web
from privacyplease.ingest.feeds.jcdecaux import read_stations
from privacyplease.ingest.stream_errors import FeedError, FeedRefusedError
from tests.services import station_feeds
from tests.services.feed_server import FeedServer

KEY = "k3y/with+signs"


@pytest.fixture
def web() -> Web:
    return Web(("apiKey", ApiKey(KEY)))


def test_the_real_response_of_lund_reads_as_one_station_a_record(bikes: Path, server: FeedServer, web: Web) -> None:
    records = json.loads((bikes / "lund_stations_v1.json").read_bytes())
    server.put("/v1/stations", (bikes / "lund_stations_v1.json").read_bytes())
    server.put("/v1/contracts", (bikes / "contracts_v1.json").read_bytes())
    snapshot = JCDecaux(web, "LUND", url=server.url).poll()
    assert snapshot.unreadable == 0
    assert [station.key for station in snapshot.stations] == [f"lund/{record['number']}" for record in records]
    assert [station.name for station in snapshot.stations] == [record["name"] for record in records]
    assert [station.last_update for station in snapshot.stations] == [record["last_update"] for record in records]
    # The API is asked by its own spelling of the contract, and with the key.
    assert server.requests[-1].parameters == {"contract": "Lund", "apiKey": KEY}


def test_flat_positions_and_numbers_for_booleans_read_as_others_do(bikes: Path) -> None:
    for line in (bikes / "besancon_snapshots_v1.ndjson").read_text(encoding="utf-8").splitlines():
        records = json.loads(line)
        snapshot = read_stations(records, "jcdecaux-v1", 1)
        for record, station in zip(records, snapshot.stations, strict=True):
            message = json.loads(station.message())
            assert message["position"] == {"lat": record["lat"], "lng": record["lng"]}
            assert message["banking"] is bool(record["banking"])
            assert message["contract"] == "Besancon"
            assert (message["name"], message["address"]) == (record["name"], record["address"])


def test_both_versions_give_the_same_stations(server: FeedServer, web: Web) -> None:
    server.put("/v1/stations", station_feeds.jcdecaux_v1(2_400))
    server.put("/v3/stations", station_feeds.jcdecaux_v3(2_400))
    old, new = (JCDecaux(web, version=each, url=server.url).poll() for each in ("v1", "v3"))
    assert len(old.stations) == len(new.stations) == 2_400
    apart = {"source", "polled_at", "last_update", "contract"}
    for one, other in zip(old.stations, new.stations, strict=True):
        pair = [json.loads(each.message()) for each in (one, other)]
        assert {k: v for k, v in pair[0].items() if k not in apart} == {
            k: v for k, v in pair[1].items() if k not in apart
        }
        assert one.key == other.key
        assert (one.last_update is None) == (other.last_update is None)


def test_records_without_a_number_are_counted_and_others_stay() -> None:
    records = [{"number": 1}, {"number": None}, [], {"name": "x"}, {"number": 2, "contract_name": "B"}]
    snapshot = read_stations(records, "jcdecaux-v1", 1, "A")
    assert ([station.key for station in snapshot.stations], snapshot.unreadable) == (["a/1", "b/2"], 3)


def test_a_contract_that_is_not_listed_is_refused_with_those_that_are(server: FeedServer, web: Web) -> None:
    server.put("/v1/contracts", [{"name": "Lyon"}, {"name": "Lund"}])
    with pytest.raises(FeedRefusedError, match="expected a contract of Lund, Lyon; got another"):
        JCDecaux(web, "Atlantis", url=server.url).poll()


def test_another_document_than_an_array_is_no_answer(server: FeedServer, web: Web) -> None:
    server.put("/v1/stations", {"error": "later"})
    with pytest.raises(FeedError, match="expected a JSON array"):
        JCDecaux(web, url=server.url).poll()
