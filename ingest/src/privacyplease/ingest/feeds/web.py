"""Fetches JSON documents over HTTP, and each again only where it has changed."""

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests

from privacyplease.ingest.feeds.apikey import ApiKey
from privacyplease.ingest.stream_errors import FeedError, FeedRefusedError

__all__ = ["Web"]

_CONNECT_SECONDS, _SILENCE_SECONDS, _WHOLE_SECONDS = 5.0, 10.0, 30.0
_MOST_BYTES = 64 << 20  # the largest feed known has 3 MB
_LONGEST_WAIT = 86_400.0

# What stays as it is until somebody mends the request, as 401 and 403 do. 429 and 5xx pass by themselves.
_REFUSALS = {400, 404, 405, 406, 410}


class _Kept(NamedTuple):
    document: object
    validators: dict[str, str]  # header -> value, for a conditional request (RFC 9110, section 13)


class Web:
    """Asks servers for JSON, and remembers each document with what tells whether it is still the same.

    Proxies and certificates come from the environment (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`).

    Args:
        key: A parameter of every request and its secret value, as `("apiKey", key)`. Such requests follow no redirect.
    """

    def __init__(self, key: tuple[str, ApiKey] | None = None) -> None:
        self._key = key
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], _Kept] = {}
        self._session = requests.Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "privacyplease-ingest"})
        if key is not None:
            key[1].hide_in_logs()

    def get(self, url: str, parameters: Mapping[str, str] | None = None) -> object:
        """Fetches a document, or gives the remembered one where the server says that it has not changed.

        Raises:
            FeedRefusedError: If the server refuses the request as it is.
            FeedError: If there is no answer, or none that is JSON.
        """
        name = (url, tuple((parameters or {}).items()))
        kept = self._kept.get(name)
        # Raised out here, so that no context is kept: the library's own errors quote the address with the key.
        outcome = self._outcome(url, dict(name[1]), kept)
        if isinstance(outcome, FeedError):
            raise outcome
        self._kept[name] = outcome
        return outcome.document

    def _outcome(self, url: str, parameters: dict[str, str], kept: _Kept | None) -> _Kept | FeedError:
        host = _host(url)
        if self._key is not None:
            parameters[self._key[0]] = self._key[1].reveal()
        try:
            with self._session.get(
                url,
                params=parameters,
                headers=kept.validators if kept else {},
                timeout=(_CONNECT_SECONDS, _SILENCE_SECONDS),
                allow_redirects=self._key is None,
                stream=True,
            ) as response:
                if response.status_code == 304 and kept is not None:
                    return kept
                if response.status_code != 200:
                    return _failure(response, host)
                return _Kept(_parsed(b"".join(_body(response))), _validators(response))
        except requests.RequestException as error:
            # The kind only, for the same reason.
            return FeedError(f"expected an answer from {host}, got {type(error).__name__}")
        except (ValueError, RecursionError) as error:
            return FeedError(f"expected JSON from {host}, got {type(error).__name__}")
        except FeedError as error:
            return error


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "an address without a host"
    except ValueError:
        return "an address that is none"


def _body(response: requests.Response) -> Iterator[bytes]:
    deadline, size = time.monotonic() + _WHOLE_SECONDS, 0
    for chunk in response.iter_content(1 << 16):
        size += len(chunk)
        if size > _MOST_BYTES or time.monotonic() > deadline:
            limits = f"{_MOST_BYTES >> 20} MiB and {_WHOLE_SECONDS:.0f} s"
            raise FeedError(f"expected an answer within {limits}, got one that is larger or slower")
        yield chunk


def _parsed(body: bytes) -> object:
    # NaN and Infinity are no JSON; where a feed has them, they say that there is no value.
    document: object = json.loads(body, parse_constant=lambda name: None)
    return document


def _validators(response: requests.Response) -> dict[str, str]:
    pairs: dict[str, Any] = {
        "If-None-Match": response.headers.get("ETag"),
        "If-Modified-Since": response.headers.get("Last-Modified"),
    }
    return {name: value for name, value in pairs.items() if value}


def _failure(response: requests.Response, host: str) -> FeedError:
    message = f"expected an answer from {host}, got HTTP status {response.status_code}"
    if response.status_code in (401, 403):
        return FeedRefusedError(f"{message}: see to the API key")
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
    return min(max(seconds, 0), _LONGEST_WAIT)
