"""Cutting: which records go together into a settled segment.

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

# Numbers of records.
RowNumbers = npt.NDArray[np.int64]

# No segment has more records than this many full ones, even if all of them start in the same instant.
MOST_FULL = 4


def cut(starts: Millis, durations: Millis, full: int) -> list[RowNumbers]:
    """Cuts records into segments of equal size, consecutive in time. Records longer than a day get separate segments.

    Up to a quarter more records than a full segment's are still one segment. Records that start in the same instant
    stay together, so that two segments do not overlap, unless the segment would exceed `MOST_FULL` full ones.

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
    """The positions at which segments begin, and the end of the last one."""
    bounds = [0]
    for bound in _between_instants(starts, _even(len(starts), full)):
        if 2 * min(bound - bounds[-1], len(starts) - bound) >= full:
            bounds.append(bound)
    bounds.append(len(starts))
    limited = [
        begin + part * (end - begin) // parts
        for begin, end in pairwise(bounds)
        for parts in [-(-(end - begin) // (MOST_FULL * full))]
        for part in range(parts)
    ]
    return [*limited, len(starts)]


def _even(records: int, full: int) -> RowNumbers:
    """The positions at which equal parts begin, except the first."""
    parts = 1 if 4 * records <= 5 * full else -(-records // full)
    return np.arange(1, parts) * records // parts


def _between_instants(starts: Millis, targets: RowNumbers) -> Iterator[int]:
    """The nearest position to each target that does not separate records of one instant, ascending."""
    before = np.searchsorted(starts, starts[targets], side="left")
    after = np.searchsorted(starts, starts[targets], side="right")
    yield from np.unique(np.where(targets - before <= after - targets, before, after)).tolist()
