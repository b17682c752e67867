"""Time arithmetic: intervals, steps and epochs, over milliseconds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Millis = npt.NDArray[np.int64]

EARLIEST = 0  # 1970-01-01T00:00:00Z
LATEST = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z: the last instant that every ISO 8601 parser accepts

DAY = 86_400_000


class Interval(NamedTuple):
    """A closed interval, in milliseconds since the epoch, UTC. One of zero length is an instant."""

    start: int
    end: int


EVER = Interval(EARLIEST, LATEST)


class Steps(NamedTuple):
    """An interval cut into steps. Each is half open, except the last, which is closed and ends with the interval.

    Attributes:
        interval: The interval.
        width: Width of a step in ms.
    """

    interval: Interval
    width: int

    @property
    def number(self) -> int:
        """How many steps there are, at least one."""
        return max(1, -(-(self.interval.end - self.interval.start) // self.width))

    def step_of(self, instants: Millis) -> Millis:
        """The step that each instant (int64[n], ms) falls into; the nearest one for those outside."""
        return np.clip((instants - self.interval.start) // self.width, 0, self.number - 1)
