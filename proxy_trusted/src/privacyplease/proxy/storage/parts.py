"""What is sent or fetched, in parts of bounded size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def parts(
    items: Iterable[T], most_bytes: int, size: Callable[[T], int], most_items: int = sys.maxsize
) -> Iterator[list[T]]:
    """Items in their order, in parts as long as fit; what is too large by itself is a part of its own.

    >>> list(parts([3, 3, 9, 1], 6, int))
    [[3, 3], [9], [1]]
    """
    part: list[T] = []
    taken = 0
    for item in items:
        if part and (len(part) == most_items or taken + size(item) > most_bytes):
            yield part
            part, taken = [], 0
        part.append(item)
        taken += size(item)
    if part:
        yield part
