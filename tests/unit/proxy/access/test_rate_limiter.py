from concurrent.futures import ThreadPoolExecutor

import pytest

from privacyplease.proxy.access.rate_limiter import RateLimiter


def test_a_bucket_starts_full_and_refills() -> None:
    now = [0.0]
    rates = RateLimiter(clock=lambda: now[0])
    assert [rates.take("alice", 2.0, 3) for _ in range(4)] == [0, 0, 0, 0.5]
    now[0] = 0.4
    assert rates.take("alice", 2.0, 3) == pytest.approx(0.1)
    now[0] = 0.5
    assert rates.take("alice", 2.0, 3) == 0
    now[0] = 1_000.0  # never more than the burst
    assert [rates.take("alice", 2.0, 3) for _ in range(4)] == [0, 0, 0, 0.5]


def test_each_name_has_its_own_bucket() -> None:
    rates = RateLimiter(clock=lambda: 0.0)
    assert [rates.take(name, 1.0, 1) for name in ("alice", "bob", "alice")] == [0, 0, 1]


def test_concurrent_threads_take_no_more_tokens_than_there_are() -> None:
    rates = RateLimiter(clock=lambda: 0.0)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: rates.take("alice", 1.0, 100), range(1_000)))
    assert sum(delay == 0 for delay in taken) == 100
