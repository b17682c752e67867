"""A view of the manifest: the live segments of a data set at one version, searchable by interval."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from privacyplease.proxy.manifest.rows import ManifestRow
from privacyplease.proxy.records.timeline import Interval


class ManifestView:
    """Segments of a data set, in order of their first start. Immutable.

    Attributes:
        version: The version of the manifest.
        rows: The segments.
    """

    def __init__(self, version: int, rows: Iterable[ManifestRow]) -> None:
        self.version = version
        self.rows = sorted(rows, key=lambda row: (row.summary.first, row.number))

    def overlapping(self, interval: Interval) -> list[ManifestRow]:
        """The segments that can hold a record which shares an instant with a closed interval."""
        firsts, reaches = self._bounds
        count = int(np.searchsorted(firsts, interval.end, side="right"))
        chosen = np.flatnonzero(reaches[:count] >= interval.start)
        return [row for row in map(self.rows.__getitem__, chosen.tolist()) if row.summary.records]

    @cached_property
    def reach(self) -> int | None:
        """The last end of a record, in ms since the epoch; None if there is none."""
        return max((row.summary.reach for row in self.rows if row.summary.records), default=None)

    @cached_property
    def _bounds(self) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """int64[2, n]: first starts, ascending, and reaches."""
        pairs = [(row.summary.first, row.summary.reach) for row in self.rows]
        return np.array(pairs, np.int64).reshape(-1, 2).T
