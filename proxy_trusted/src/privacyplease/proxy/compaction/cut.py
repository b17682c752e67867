"""Cutting: which records lie together in a settled segment.

>>> starts = np.arange(200_000)
>>> [len(rows) for rows in cut(starts, np.zeros(200_000, np.int64), full=65_536)]
[50000, 50000, 50000, 50000]
>>> [len(rows) for rows in cut(np.array([0, 1, 2]), np.array([5, DAY + 1, 7]), full=65_536)]
[2, 1]
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from privacyplease.proxy.records.timeline import DAY, Millis

Rows = npt.NDArray[np.int64]

# A segment has more records than that many full ones only if they start in one instant, and never more than this.
MOST_FULL = 4


def cut(starts: Millis, durations: Millis, full: int) -> list[Rows]:
    """Cuts records into segments: equally large, neighbours in time, and those that are longer than a day apart.

    What is up to a quarter more than a full segment is still one. Records that start in the same instant stay together
    as far as that leaves no segment larger than `MOST_FULL` full ones, so that two segments do not overlap.

    Args:
        starts: int64[n], ms, ascending.
        durations: int64[n], ms.
        full: How many records a full segment has.

    Returns:
        The numbers of the records of each segment, ascending.
    """
    long = durations > DAY
    lanes = (np.flatnonzero(~long), np.flatnonzero(long))
    return [lane[begin:end] for lane in lanes if len(lane) for begin, end in pairwise(_bounds(starts[lane], full))]


def _bounds(starts: Millis, full: int) -> list[int]:
    """Where segments begin, and where the last one ends."""
    bounds = [0]
    for bound in _between_instants(starts, _even(len(starts), full)):
        if 2 * min(bound - bounds[-1], len(starts) - bound) >= full:
            bounds.append(bound)
    bounds.append(len(starts))
    crowded = [
        begin + at * (end - begin) // parts
        for begin, end in pairwise(bounds)
        for parts in [-(-(end - begin) // (MOST_FULL * full))]
        for at in range(parts)
    ]
    return [*crowded, len(starts)]


def _even(records: int, full: int) -> Rows:
    """Where equal parts begin, but the first."""
    parts = 1 if 4 * records <= 5 * full else -(-records // full)
    return np.arange(1, parts) * records // parts


def _between_instants(starts: Millis, targets: Rows) -> Iterator[int]:
    """The nearest place to each target that does not part records of one instant, ascending."""
    before = np.searchsorted(starts, starts[targets], side="left")
    after = np.searchsorted(starts, starts[targets], side="right")
    yield from np.unique(np.where(targets - before <= after - targets, before, after)).tolist()
