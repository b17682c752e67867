"""Fetches JSON documents over HTTP, and downloads them again only if they have changed."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from privacyplease.ingest.errors import FeedError, FeedRefusedError
from privacyplease.ingest.feeds.api_key import ApiKey
from privacyplease.ingest.feeds.secret_headers import SecretHeaders

__all__ = ["JsonClient", "url_name"]

_CONNECT_S, _READ_S, _TOTAL_S = 5.0, 10.0, 30.0
_MAX_BYTES = 64 << 20  # the largest feed known has 3 MB
_MAX_RETRY_AFTER_S = 86_400.0

# These last until someone corrects the request, as 401 and 403 do. 429 and 5xx are transient.
_REFUSALS = {400, 404, 405, 406, 410}


class _CachedDocument(NamedTuple):
    document: object
    validators: dict[str, str]  # header -> value, for a conditional request (RFC 9110, section 13)


class JsonClient:
    """Fetches JSON, and caches each document with its validators.

    Proxies and certificates come from the environment (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`).

    Args:
        key: A parameter of every request and its secret value, as `("apiKey", key)`.
        headers: Secret headers and the host that they are for, as a feed may name files of others. With a key or such
            headers no redirect is followed.
        user_agent: Who we say that we are.
    """

    def __init__(
        self,
        key: tuple[str, ApiKey] | None = None,
        *,
        headers: SecretHeaders | None = None,
        user_agent: str = "privacyplease-ingest",
    ) -> None:
        self._key = key
        self._headers = headers
        self._cache: dict[tuple[str, tuple[tuple[str, str], ...]], _CachedDocument] = {}
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": user_agent})
        if key is not None:
            key[1].hide_in_logs()

    def get(self, url: str, parameters: Mapping[str, str] | None = None) -> object:
        """Fetches a document, or gives the cached one if the server says that it has not changed.

        Raises:
            FeedRefusedError: If the server refuses the request as it is.
            FeedError: If there is no response, or it is not JSON.
        """
        request = (url, tuple((parameters or {}).items()))
        cached = self._cache.get(request)
        # Raised here, so that it has no context: the library's own errors quote the URL with the key.
        outcome = self._outcome(url, dict(request[1]), cached)
        if isinstance(outcome, FeedError):
            raise outcome
        self._cache[request] = outcome
        return outcome.document

    def _outcome(
        self, url: str, parameters: dict[str, str], cached: _CachedDocument | None
    ) -> _CachedDocument | FeedError:
        name = url_name(url)
        if self._key is not None:
            parameters[self._key[0]] = self._key[1].reveal()
        try:
            with self._session.get(
                url,
                params=parameters,
                headers={**(cached.validators if cached else {}), **self._secret_headers(url)},
                timeout=(_CONNECT_S, _READ_S),
                allow_redirects=self._key is None and self._headers is None,
                stream=True,
            ) as response:
                if response.status_code == 304 and cached is not None:
                    return cached
                if response.status_code != 200:
                    return _failure(response, name)
                return _CachedDocument(_parsed(b"".join(_body(response))), _validators(response))
        except requests.RequestException as error:
            # Only the type, for the same reason.
            return FeedError(f"expected a response from {name}, got {type(error).__name__}")
        except FeedError as error:
            return FeedError(f"{name}: {error}", error.retry_after)

    def _secret_headers(self, url: str) -> dict[str, str]:
        return self._headers.reveal() if self._headers is not None and self._headers.are_for(url) else {}


def url_name(url: str) -> str:
    """What a message calls a URL: its host and the last part of its path, since the rest may hold a key.

    >>> url_name("https://feeds.example/secret/station_status.json?key=secret")
    'station_status.json of feeds.example'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an invalid URL"
    host, file = parts.hostname or "a URL without a host", parts.path.rpartition("/")[2]
    return f"{file} of {host}" if file else host


def _body(response: requests.Response) -> Iterator[bytes]:
    deadline, size = time.monotonic() + _TOTAL_S, 0
    for chunk in response.iter_content(1 << 16):
        size += len(chunk)
        if size > _MAX_BYTES or time.monotonic() > deadline:
            limits = f"{_MAX_BYTES >> 20} MiB and {_TOTAL_S:.0f} s"
            raise FeedError(f"expected a response within {limits}, got one that is larger or slower")
        yield chunk


def _parsed(body: bytes) -> object:
    with suppress(ValueError, RecursionError):
        # NaN and Infinity are not JSON; feeds that have them mean that there is no value.
        document: object = json.loads(body, parse_constant=lambda name: None)
        return document
    # Raised here, so that it has no context: the library's own error quotes the body.
    raise FeedError(f"expected JSON, got {_described(body)}")


def _described(body: bytes) -> str:
    """What a body is that is not JSON."""
    start = body.lstrip()[:1]
    if not start:
        return "nothing"
    if body.startswith(b"\x1f\x8b"):
        return "gzip without a header that says so"
    if start == b"<":
        return "a page or XML"
    try:
        body.decode()
    except UnicodeDecodeError:
        return "text that is not UTF-8"
    return "other text, or JSON that is cut short"


def _validators(response: requests.Response) -> dict[str, str]:
    pairs: dict[str, Any] = {
        "If-None-Match": response.headers.get("ETag"),
        "If-Modified-Since": response.headers.get("Last-Modified"),
    }
    return {name: value for name, value in pairs.items() if value}


def _failure(response: requests.Response, name: str) -> FeedError:
    message = f"expected a response from {name}, got HTTP status {response.status_code}"
    if response.status_code in (401, 403):
        return FeedRefusedError(f"{message}: check the API key or the header file")
    if response.is_redirect:
        return FeedRefusedError(f"{message}: with a key no redirect is followed; give the new address")
    if response.status_code in _REFUSALS:
        return FeedRefusedError(message)
    return FeedError(message, _retry_after(response.headers.get("Retry-After", "")))


def _retry_after(value: str) -> float:
    """Seconds, or a date (RFC 9110, section 10.2.3)."""
    try:
        if value.strip().isdecimal():
            seconds = float(value)
        else:
            moment = parsedate_to_datetime(value)
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0
    return min(max(seconds, 0), _MAX_RETRY_AFTER_S)
