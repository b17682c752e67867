"""Queries to the proxy on behalf of the user who is logged in.

Counts are cached for seconds or minutes; answers about people never are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

from cachetools import TTLCache
from flask import current_app, g

from privacyplease.client import Access, Client

_Answer = TypeVar("_Answer")

MOST_ANSWERS = 512
ANSWER_TTL_S = 20.0
# The list of places, and counts of past weeks, hardly change.
STABLE_TTL_S = 600.0
ACCESS_TTL_S = 5.0
# How many queries of one page run at the same time. More would only wait for each other in the proxy.
CONCURRENT_QUERIES = 3


class AnswerCache:
    """A cache of answers, kept apart by user. Thread-safe."""

    def __init__(self) -> None:
        self._caches: dict[float, TTLCache[Hashable, Any]] = {ttl_s: TTLCache(MOST_ANSWERS, ttl_s) for ttl_s in _TTLS_S}
        self._pending: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def answer(self, ttl_s: float, key: Hashable, query: Callable[[], _Answer]) -> _Answer:
        """The cached answer, the answer of an identical query that is running, or a new one; errors are not cached."""
        cache = self._caches[ttl_s]
        with self._lock:
            if key in cache:
                return cast(_Answer, cache[key])
            running, own = self._pending.get(key), Future[_Answer]()
            if running is None:
                self._pending[key] = own
        if running is not None:
            return cast(_Answer, running.result())
        try:
            own.set_result(query())
        except BaseException as error:
            own.set_exception(error)
        with self._lock:
            del self._pending[key]
            if own.exception() is None:
                cache[key] = own.result()
        return own.result()


_TTLS_S = (ACCESS_TTL_S, ANSWER_TTL_S, STABLE_TTL_S)


class ProxyQueries:
    """The queries of one user."""

    def __init__(self, client: Client, user: str, cache: AnswerCache) -> None:
        self.user = user
        self.client = client.on_behalf_of(user)
        self._cache = cache

    def access(self) -> Access:
        """What the user may ask."""
        return self._cache.answer(ACCESS_TTL_S, (self.user, "access"), self.client.whoami)

    def cached(self, method: str, *arguments: Any, stable: bool = False, **keywords: Any) -> Any:  # noqa: ANN401
        """Calls a method of the SDK through the cache, as `cached("count", start, end)`; only for counts.

        Args:
            method: The name of a method of `Client`.
            arguments: Its positional arguments.
            stable: Whether the answer hardly changes, and so may be cached for longer.
            keywords: Its keyword arguments.
        """
        key = (self.user, method, _hashable(arguments), _hashable(keywords))
        call = getattr(self.client, method)
        ttl_s = STABLE_TTL_S if stable else ANSWER_TTL_S
        return self._cache.answer(ttl_s, key, lambda: call(*arguments, **keywords))

    def concurrently(self, *queries: Callable[[], _Answer]) -> list[_Answer]:
        """Runs queries at the same time and returns their answers; raises the first error, if there is one."""
        with ThreadPoolExecutor(CONCURRENT_QUERIES) as pool:
            return list(pool.map(lambda query: query(), queries))


def proxy_queries() -> ProxyQueries:
    """The queries of the user who is logged in."""
    if "proxy_queries" not in g:
        extensions = current_app.extensions
        g.proxy_queries = ProxyQueries(extensions["client"], g.user, extensions["answers"])
    return cast(ProxyQueries, g.proxy_queries)


def _hashable(value: Any) -> Hashable:  # noqa: ANN401
    if isinstance(value, dict):
        return tuple(sorted((key, _hashable(item)) for key, item in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_hashable(item) for item in value)
    return cast(Hashable, value)
