"""Asks the proxy on behalf of whoever is logged in.

Answers about counts are kept in memory, for seconds or minutes; those about persons never.
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
ANSWER_S = 20.0
# Where places lie, and what was weeks ago, hardly changes.
OLD_ANSWER_S = 600.0
ACCESS_S = 5.0
# Questions of one page that are asked at once. More would only wait for each other in the proxy.
TOGETHER = 3


class Memory:
    """Answers that are kept for a while, each for the person who got it. Safe to use from many threads."""

    def __init__(self) -> None:
        self._kept: dict[float, TTLCache[Hashable, Any]] = {
            seconds: TTLCache(MOST_ANSWERS, seconds) for seconds in _KEPT_S
        }
        self._awaited: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def answer(self, seconds: float, key: Hashable, ask: Callable[[], _Answer]) -> _Answer:
        """The answer that is kept or that somebody is waiting for, or else a new one. Failures are not kept."""
        kept = self._kept[seconds]
        with self._lock:
            if key in kept:
                return cast(_Answer, kept[key])
            awaited, mine = self._awaited.get(key), Future[_Answer]()
            if awaited is None:
                self._awaited[key] = mine
        if awaited is not None:
            return cast(_Answer, awaited.result())
        try:
            mine.set_result(ask())
        except BaseException as error:
            mine.set_exception(error)
        with self._lock:
            del self._awaited[key]
            if mine.exception() is None:
                kept[key] = mine.result()
        return mine.result()


_KEPT_S = (ACCESS_S, ANSWER_S, OLD_ANSWER_S)


class Asker:
    """Asks for one person."""

    def __init__(self, client: Client, person: str, memory: Memory) -> None:
        self.person = person
        self.client = client.on_behalf_of(person)
        self._memory = memory

    def access(self) -> Access:
        """What the person may ask."""
        return self._memory.answer(ACCESS_S, (self.person, "access"), self.client.whoami)

    def kept(self, question: str, *arguments: Any, old: bool = False, **named: Any) -> Any:  # noqa: ANN401
        """The answer to a question of the SDK, as `kept("count", start, end)`; for counts alone.

        Args:
            question: The method of `Client`.
            arguments: What it takes.
            old: Whether the answer is about what hardly changes.
            named: What it takes by name.
        """
        key = (self.person, question, _hashable(arguments), _hashable(named))
        ask = getattr(self.client, question)
        return self._memory.answer(OLD_ANSWER_S if old else ANSWER_S, key, lambda: ask(*arguments, **named))

    def together(self, *asks: Callable[[], _Answer]) -> list[_Answer]:
        """The answers to some questions, asked at the same time; the first failure if there is any."""
        with ThreadPoolExecutor(TOGETHER) as pool:
            return list(pool.map(lambda ask: ask(), asks))


def asker() -> Asker:
    """Asks for whoever is logged in."""
    if "asker" not in g:
        g.asker = Asker(current_app.extensions["client"], g.person, current_app.extensions["memory"])
    return cast(Asker, g.asker)


def _hashable(value: Any) -> Hashable:  # noqa: ANN401
    if isinstance(value, dict):
        return tuple(sorted((key, _hashable(each)) for key, each in value.items()))
    if isinstance(value, list | tuple):
        return tuple(_hashable(each) for each in value)
    return cast(Hashable, value)
