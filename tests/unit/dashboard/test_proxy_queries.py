"""The cache of answers: what it keeps and for whom, and that identical queries at the same time run once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from privacyplease.client.errors import ProxyUnreachableError
from privacyplease.dashboard.proxy_queries import ANSWER_TTL_S, STABLE_TTL_S, AnswerCache


def test_an_answer_is_cached_only_for_its_user_and_query() -> None:
    cache = AnswerCache()
    assert cache.answer(ANSWER_TTL_S, ("alice", "count"), lambda: 1) == 1
    assert cache.answer(ANSWER_TTL_S, ("alice", "count"), lambda: 2) == 1
    assert cache.answer(ANSWER_TTL_S, ("bob", "count"), lambda: 2) == 2
    assert cache.answer(STABLE_TTL_S, ("alice", "count"), lambda: 3) == 3


def test_identical_queries_at_the_same_time_run_once() -> None:
    cache, started, may_answer, runs = AnswerCache(), threading.Event(), threading.Event(), []

    def query() -> int:
        runs.append(1)
        started.set()
        assert may_answer.wait(10)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.answer, ANSWER_TTL_S, "count", query)
        assert started.wait(10)
        second = pool.submit(cache.answer, ANSWER_TTL_S, "count", query)
        may_answer.set()
        assert (first.result(), second.result()) == (7, 7)
    assert runs == [1]


def test_an_error_is_not_cached() -> None:
    cache = AnswerCache()

    def fail() -> int:
        raise ProxyUnreachableError("the proxy is unavailable")

    with pytest.raises(ProxyUnreachableError):
        cache.answer(ANSWER_TTL_S, "count", fail)
    assert cache.answer(ANSWER_TTL_S, "count", lambda: 7) == 7
