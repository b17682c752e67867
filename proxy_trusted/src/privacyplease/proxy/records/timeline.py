"""Time arithmetic: intervals, levels, buckets and epochs, as functions over arrays of milliseconds.

A record lies at the lowest level whose buckets are as wide as the record is long. Looking for records that overlap
[a, b], it is then enough to look, at each level ℓ, at buckets that hold starts in [a - w_ℓ, b]:

>>> timeline = Timeline(base=3_600_000, epoch=30 * 86_400_000)
>>> timeline.widths[:3].tolist()  # 1 h, 8 h, 64 h
[3600000, 28800000, 230400000]
>>> timeline.levels(np.array([0, 3_600_000, 3_600_001]))
array([0, 0, 1])
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Millis = npt.NDArray[np.int64]

# The keys of an epoch may be renewed. The n-th generation of them goes by the number epoch + n · 2^24 wherever an
# epoch's number says whose key something is under: epochs of a day, until 9999, are fewer.
GENERATION = 1 << 24

GROWTH = 8  # each level's buckets are eight times as wide as those below
EARLIEST = 0  # 1970-01-01T00:00:00Z
LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: the last instant that every ISO 8601 reader takes


class Interval(NamedTuple):
    """A closed interval, in milliseconds since the epoch, UTC. Zero length is one instant."""

    start: int
    end: int


@dataclass(frozen=True)
class Timeline:
    """How a data set divides time.

    Attributes:
        base: Width of a bucket of level 0, in ms.
        epoch: Width of an epoch, in ms.
        widths: int64[levels], width of a bucket of each level, in ms. There are as many levels as it takes for the
            longest interval between two valid times to fit, so that no record is too long.
    """

    base: int
    epoch: int
    widths: Millis = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        widths = [self.base]
        while widths[-1] < LATEST - EARLIEST:
            widths.append(widths[-1] * GROWTH)
        object.__setattr__(self, "widths", np.array(widths, np.int64))

    def levels(self, durations: Millis) -> npt.NDArray[np.int64]:
        """The lowest level that is at least as wide, for each of int64[n] durations in ms."""
        return np.searchsorted(self.widths, durations, side="left")

    def buckets(self, starts: Millis, levels: npt.NDArray[np.int64]) -> Millis:
        """The bucket at its level, for each of int64[n] starts in ms."""
        return starts // self.widths[levels]

    def epochs(self, starts: Millis) -> Millis:
        """The epoch, for each of int64[n] starts in ms."""
        return starts // self.epoch

    def starting(self, interval: Interval, level: int) -> Interval:
        """When a record of a level starts that overlaps the interval: in [interval.start - width, interval.end]."""
        return Interval(interval.start - int(self.widths[level]), interval.end)

    def covered(self, epoch: int, level: int, bucket: int) -> Interval:
        """The starts that belong to a bucket of an epoch; none, an end before its start, if the two do not meet."""
        width, epoch = int(self.widths[level]), epoch % GENERATION
        first, last = max(bucket * width, epoch * self.epoch), min((bucket + 1) * width, (epoch + 1) * self.epoch) - 1
        return Interval(first, last)
