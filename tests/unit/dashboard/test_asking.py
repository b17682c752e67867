"""What is kept of answers, for whom, and that the same is not asked twice at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from privacyplease.client.errors import ProxyUnreachableError
from privacyplease.dashboard.asking import ANSWER_S, OLD_ANSWER_S, Memory


def test_an_answer_is_kept_under_its_own_key_alone() -> None:
    memory = Memory()
    assert memory.answer(ANSWER_S, ("alice", "count"), lambda: 1) == 1
    assert memory.answer(ANSWER_S, ("alice", "count"), lambda: 2) == 1
    assert memory.answer(ANSWER_S, ("bob", "count"), lambda: 2) == 2
    assert memory.answer(OLD_ANSWER_S, ("alice", "count"), lambda: 3) == 3


def test_what_is_asked_at_the_same_time_is_asked_once() -> None:
    memory, asked, may_answer, asks = Memory(), threading.Event(), threading.Event(), []

    def ask() -> int:
        asks.append(1)
        asked.set()
        assert may_answer.wait(10)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(memory.answer, ANSWER_S, "count", ask)
        assert asked.wait(10)
        second = pool.submit(memory.answer, ANSWER_S, "count", ask)
        may_answer.set()
        assert (first.result(), second.result()) == (7, 7)
    assert asks == [1]


def test_a_failure_is_not_kept() -> None:
    memory = Memory()

    def fail() -> int:
        raise ProxyUnreachableError("the proxy does not answer")

    with pytest.raises(ProxyUnreachableError):
        memory.answer(ANSWER_S, "count", fail)
    assert memory.answer(ANSWER_S, "count", lambda: 7) == 7
