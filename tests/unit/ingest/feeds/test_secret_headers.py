import pickle
from pathlib import Path

import pytest

from privacyplease.ingest.errors import FeedError, FeedRefusedError, SettingsError
from privacyplease.ingest.feeds import Gbfs, JsonClient, SecretHeaders
from tests.services import station_feeds
from tests.services.feed_server import FeedServer

SECRET = "Bearer s3cret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "headers"
    path.write_text(f"\nAuthorization: {SECRET}\nX-Key:  1 \n")
    return path


def test_headers_go_to_the_feeds_own_host_and_to_no_other(server: FeedServer, file: Path) -> None:
    with FeedServer() as other:
        documents = station_feeds.gbfs(server.url, "2.3", 3, ttl=0, seed=1)
        for path, document in documents.items():
            server.put(path, document)
            other.put(path, document)
        discovery = str(documents["/gbfs.json"]).replace(f"{server.url}/station_status", f"{other.url}/station_status")
        server.put("/gbfs.json", eval(discovery))
        client = JsonClient(headers=SecretHeaders.load(file, f"{server.url}/gbfs.json"))
        assert len(Gbfs(client, f"{server.url}/gbfs.json").poll().stations) == 3
        assert {request.headers["Authorization"] for request in server.requests} == {SECRET}
        assert {request.headers["X-Key"] for request in server.requests} == {"1"}
        assert [request.headers["Authorization"] for request in other.requests] == [None]


def test_no_redirect_is_followed_with_secret_headers(server: FeedServer, file: Path) -> None:
    server.fail("/gbfs.json", 301, {"Location": f"{server.url}/elsewhere.json"})
    client = JsonClient(headers=SecretHeaders.load(file, server.url))
    with pytest.raises(FeedRefusedError, match="no redirect is followed; give the new address"):
        client.get(f"{server.url}/gbfs.json")
    assert [request.path for request in server.requests] == ["/gbfs.json"]


@pytest.mark.parametrize("text", ["", "\n", SECRET, ": x", "A b: c", "A: é", "A: \x07", "Authorization:"])
def test_a_line_that_is_no_header_is_named_without_its_content(tmp_path: Path, text: str) -> None:
    path = tmp_path / "headers"
    path.write_text(f"X-First: 1\n{text}\n" if text.strip() else text)
    with pytest.raises(SettingsError, match="in line 2" if text.strip() else "got nothing") as raised:
        SecretHeaders.load(path, "https://feeds.example")
    assert "s3cret" not in str(raised.value)


def test_headers_are_never_shown(file: Path) -> None:
    headers = SecretHeaders.load(file, "https://feeds.example")
    assert "s3cret" not in repr(headers)
    with pytest.raises(TypeError):
        pickle.dumps(headers)


def test_an_address_that_is_none_gets_no_headers_and_is_refused_as_the_feeds_own(file: Path) -> None:
    headers = SecretHeaders.load(file, "https://feeds.example/gbfs.json")
    assert not headers.are_for("https://feeds.example:99999/station_status.json")
    with pytest.raises(FeedError):
        JsonClient(headers=headers).get("https://feeds.example:99999/station_status.json")
    with pytest.raises(SettingsError, match="expected a URL of a feed"):
        SecretHeaders.load(file, "https://feeds.example:99999/gbfs.json")
