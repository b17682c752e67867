"""A proxy that lost its lease answers and admits nothing, and nothing that it began before."""

from __future__ import annotations

import pytest

from privacyplease.proxy.edge.fence import Fence
from privacyplease.proxy.errors import FencedError


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_is_closed_at_first(clock: Clock) -> None:
    with pytest.raises(FencedError):
        Fence(clock).enter()


def test_it_closes_by_itself(clock: Clock) -> None:
    fence = Fence(clock)
    fence.open_for(10, since=clock.now)
    entered = fence.enter()
    clock.now += 10
    fence.require(entered)
    clock.now += 0.1
    for check in (fence.enter, lambda: fence.require(entered)):
        with pytest.raises(FencedError):
            check()


def test_what_began_before_it_closed_is_refused_even_when_it_is_open_again(clock: Clock) -> None:
    fence = Fence(clock)
    fence.open_for(10, since=clock.now)
    entered = fence.enter()
    clock.now += 11
    fence.open_for(10, since=clock.now)
    fence.require(fence.enter())
    with pytest.raises(FencedError):
        fence.require(entered)


def test_a_renewal_that_took_too_long_does_not_open_it(clock: Clock) -> None:
    fence = Fence(clock)
    began, clock.now = clock.now, clock.now + 11  # the process was stopped in between
    fence.open_for(10, since=began)
    with pytest.raises(FencedError):
        fence.enter()


def test_renewed_in_time_it_stays_open_for_what_began_before(clock: Clock) -> None:
    fence = Fence(clock)
    fence.open_for(10, since=clock.now)
    entered = fence.enter()
    for _ in range(5):
        clock.now += 9
        fence.open_for(10, since=clock.now)
    fence.require(entered)
