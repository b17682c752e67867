from concurrent.futures import ThreadPoolExecutor

import pytest

from privacyplease.proxy.access.rate_limiter import RateLimiter


def test_a_bucket_is_full_at_first_and_fills_again() -> None:
    now = [0.0]
    rates = RateLimiter(clock=lambda: now[0])
    assert [rates.take("alice", 2.0, 3) for _ in range(4)] == [0, 0, 0, 0.5]
    now[0] = 0.4
    assert rates.take("alice", 2.0, 3) == pytest.approx(0.1)
    now[0] = 0.5
    assert rates.take("alice", 2.0, 3) == 0
    now[0] = 1_000.0  # never more than the burst
    assert [rates.take("alice", 2.0, 3) for _ in range(4)] == [0, 0, 0, 0.5]


def test_everybody_has_a_bucket_of_their_own() -> None:
    rates = RateLimiter(clock=lambda: 0.0)
    assert [rates.take(name, 1.0, 1) for name in ("alice", "bob", "alice")] == [0, 0, 1]


def test_threads_do_not_get_more_than_there_is() -> None:
    rates = RateLimiter(clock=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: rates.take("alice", 1.0, 100), range(1_000)))
    assert sum(delay == 0 for delay in taken) == 100
