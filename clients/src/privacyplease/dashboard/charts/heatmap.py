"""Heat maps: the mean for each hour of the week."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

LEVELS = 8
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class HeatMap:
    """The mean for each hour of the week.

    Attributes:
        means: 7 rows of 24, from Monday; None where there is no data.
        most: The greatest mean.
    """

    means: list[list[float | None]]
    most: float

    def level(self, mean: float | None) -> int:
        """How strongly a cell is coloured, from 0 for none to `LEVELS`."""
        if mean is None or self.most == 0:
            return 0
        return round(mean / self.most * LEVELS)


def heat_map(start: datetime, counts: tuple[int, ...], zone: tzinfo) -> HeatMap:
    """Groups hourly counts by weekday and hour in local time."""
    cells: dict[tuple[int, int], list[int]] = defaultdict(list)
    for hour, count in enumerate(counts):
        local = (start + timedelta(hours=hour)).astimezone(zone)
        cells[local.weekday(), local.hour].append(count)
    means = [[_mean(cells[weekday, hour]) for hour in range(24)] for weekday in range(7)]
    return HeatMap(means, max((mean for row in means for mean in row if mean is not None), default=0))


def _mean(counts: list[int]) -> float | None:
    return sum(counts) / len(counts) if counts else None
