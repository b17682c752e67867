"""A question: one value, which determines everything that is fetched."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import Sought
from privacyplease.proxy.records.timeline import DAY, LATEST, Interval


@dataclass(frozen=True)
class Question:
    """What a client asks.

    Attributes:
        dataset: The data set.
        interval: Records that share an instant with it belong to the answer.
        subjects: Restricts the answer to one subject or several; None for all. The server cannot see it.
        places: Restricts the answer to one place or several; likewise.
        columns: Columns that the answer needs besides those of the core.
        rollups: Whether roll-ups may stand in for the records of segments that lie inside the interval.
    """

    dataset: Dataset
    interval: Interval
    subjects: Sought = None
    places: Sought = None
    columns: tuple[str, ...] = ()
    rollups: bool = False

    @property
    def fetched(self) -> Interval:
        """The interval whose segments are fetched: widened to whole days if the data set says so."""
        if not self.dataset.whole_days:
            return self.interval
        start, end = self.interval
        return Interval(start // DAY * DAY, min((end // DAY + 1) * DAY - 1, LATEST))

    @property
    def place_names(self) -> list[str] | None:
        """The places; None for all."""
        return None if self.places is None else [str(place) for place in values(self.places)]

    @property
    def subject_values(self) -> list[object] | None:
        """The subjects as stored; None for all."""
        return None if self.subjects is None else values(self.subjects)


def values(sought: pa.Scalar | pa.Array) -> list[object]:
    """One stored value, or several, as Python values."""
    listed: list[object] = [sought.as_py()] if isinstance(sought, pa.Scalar) else sought.to_pylist()
    return listed
