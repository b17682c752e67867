import logging
import pickle
import socket
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from privacyplease.ingest.errors import FeedError, FeedRefusedError, SettingsError
from privacyplease.ingest.feeds import ApiKey, JsonClient
from tests.services.feed_server import FeedServer

KEY = "s3cret/key+42"


@pytest.mark.parametrize("validator", ["ETag", "Last-Modified"])
def test_an_unchanged_document_is_not_downloaded_again(server: FeedServer, validator: str) -> None:
    server.put("/a", [1, 2], validator=validator)
    client = JsonClient()
    assert client.get(f"{server.url}/a") == client.get(f"{server.url}/a") == [1, 2]
    assert server.statuses("/a") == [200, 304]


def test_a_document_without_validators_is_fetched_each_time(server: FeedServer) -> None:
    server.put("/a", [1], validator="")
    client = JsonClient()
    client.get(f"{server.url}/a"), client.get(f"{server.url}/a")
    assert server.statuses("/a") == [200, 200]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_status_that_the_user_must_correct_is_a_refusal(server: FeedServer, status: int) -> None:
    server.fail("/a", status)
    with pytest.raises(FeedRefusedError, match=f"HTTP status {status}"):
        JsonClient().get(f"{server.url}/a")


@pytest.mark.parametrize("status", [304, 429, 500, 503])
def test_a_transient_status_is_not_a_refusal(server: FeedServer, status: int) -> None:
    server.fail("/a", status)
    with pytest.raises(FeedError, match=f"HTTP status {status}") as failure:
        JsonClient().get(f"{server.url}/a")
    assert not isinstance(failure.value, FeedRefusedError)


def test_retry_after_is_seconds_or_a_date(server: FeedServer) -> None:
    waits = []
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for value in ("7", in_a_minute, "soon", "99999999999999"):
        server.fail("/a", 429, {"Retry-After": value})
        with pytest.raises(FeedError) as failure:
            JsonClient().get(f"{server.url}/a")
        waits.append(failure.value.retry_after)
    assert waits == [7, pytest.approx(60, abs=5), 0, 86_400]


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe\xfa", b"[" * 100_000])
def test_a_response_that_is_not_json_is_an_error(server: FeedServer, body: bytes) -> None:
    server.put("/a", body)
    with pytest.raises(FeedError, match="expected JSON"):
        JsonClient().get(f"{server.url}/a")


def test_nan_and_infinity_are_null(server: FeedServer) -> None:
    server.put("/a", b'{"lat": NaN, "lng": Infinity}')
    assert JsonClient().get(f"{server.url}/a") == {"lat": None, "lng": None}


def test_the_key_is_in_no_log_and_no_error(server: FeedServer, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    client, errors = JsonClient(("apiKey", ApiKey(KEY))), []
    server.put("/a", [1])
    server.fail("/b", 302, {"Location": f"{server.url}/a"})
    server.fail("/b", 403)
    with caplog.at_level(logging.DEBUG):
        client.get(f"{server.url}/a")
        for url in (f"{server.url}/b", f"{server.url}/b", closed, "http://[", "nowhere"):
            try:
                client.get(url)
            except FeedError as error:
                errors += [*traceback.format_exception(error), repr(error.__context__)]
    assert server.requests[0].parameters == {"apiKey": KEY}
    output = caplog.text + "".join(errors) + repr(client._key)
    assert "127.0.0.1" in output
    assert "apiKey=***" in caplog.text
    assert "s3cret" not in output
    # A redirect could send the key to another host.
    assert server.statuses("/a") == [200]


def test_the_key_is_read_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n", encoding="utf-8")
    assert ApiKey.load("SOME_KEY", file).reveal() == KEY
    with pytest.raises(SettingsError, match="SOME_KEY"):
        ApiKey.load("SOME_KEY")
    monkeypatch.setenv("SOME_KEY", KEY)
    assert ApiKey.load("SOME_KEY").reveal() == KEY
    file.write_text(f"{KEY} and more", encoding="utf-8")
    with pytest.raises(SettingsError, match="got several words") as failure:
        ApiKey.load("SOME_KEY", file)
    assert KEY not in str(failure.value)
    with pytest.raises(SettingsError, match="FileNotFoundError"):
        ApiKey.load("SOME_KEY", tmp_path / "none")


def test_a_key_is_masked_and_cannot_be_pickled() -> None:
    assert KEY not in repr(ApiKey(KEY))
    with pytest.raises(TypeError):
        pickle.dumps(ApiKey(KEY))
