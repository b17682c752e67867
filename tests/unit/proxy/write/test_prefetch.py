"""Prefetching: in order, bounded, and it stops with its consumer."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator

import pytest

from privacyplease.proxy.write.prefetch import prefetched
from tests.services.polling import eventually


@pytest.mark.parametrize("depth", [1, 2, 100])
def test_items_come_in_order(depth: int) -> None:
    assert list(prefetched(iter(range(50)), depth)) == list(range(50))


def test_at_most_depth_items_are_produced_ahead() -> None:
    made: list[int] = []

    def making() -> Iterator[int]:
        for item in range(20):
            made.append(item)
            yield item

    items = prefetched(making(), 3)
    assert next(items) == 0
    assert eventually(lambda: len(made) == 5)  # one used, three ready, one being produced
    assert next(items) == 1
    assert eventually(lambda: len(made) == 6)
    assert len(made) == 6


def test_an_error_is_raised_in_place_of_its_item() -> None:
    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("third")

    items = prefetched(failing(), 5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="third"):
        next(items)


def test_the_thread_ends_when_the_consumer_stops() -> None:
    before = set(threading.enumerate())
    items = prefetched(iter(range(1_000)), 1)
    next(items)
    assert isinstance(items, Generator)
    items.close()
    assert eventually(lambda: set(threading.enumerate()) <= before)
