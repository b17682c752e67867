"""Items that are sent or fetched, in chunks of bounded size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def chunks(
    items: Iterable[T], most_bytes: int, size: Callable[[T], int], most_items: int = sys.maxsize
) -> Iterator[list[T]]:
    """Splits items, in order, into the longest chunks that stay within the bounds.

    An item that is larger than `most_bytes` gets a chunk to itself.

    Args:
        items: What to split.
        most_bytes: The size of a chunk, at most.
        size: Returns the size of an item, in bytes.
        most_items: How many items a chunk has, at most.

    >>> list(chunks([3, 3, 9, 1], 6, int))
    [[3, 3], [9], [1]]
    >>> list(chunks([3, 3, 3, 1], 100, int, most_items=3))
    [[3, 3, 3], [1]]
    """
    chunk: list[T] = []
    chunk_bytes = 0
    for item in items:
        if chunk and (len(chunk) == most_items or chunk_bytes + size(item) > most_bytes):
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk.append(item)
        chunk_bytes += size(item)
    if chunk:
        yield chunk
