"""A question: one value, from which follows all that is fetched."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import Sought
from privacyplease.proxy.records.timeline import DAY, LATEST, Interval


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        dataset: The data set.
        interval: Records that share an instant with it belong to the answer.
        subjects: So do those of one subject, or of several; None for everybody. It shows nowhere outside.
        places: Likewise.
        columns: Columns beside who, where, from when and for how long that the answer needs.
        rollups: Whether roll-ups may stand for the records of segments that lie inside the interval.
    """

    dataset: Dataset
    interval: Interval
    subjects: Sought = None
    places: Sought = None
    columns: tuple[str, ...] = ()
    rollups: bool = False

    @property
    def fetched(self) -> Interval:
        """The interval whose segments are fetched: whole days, where the data set says so."""
        if not self.dataset.whole_days:
            return self.interval
        start, end = self.interval
        return Interval(start // DAY * DAY, min((end // DAY + 1) * DAY - 1, LATEST))

    @property
    def place_names(self) -> list[str] | None:
        """The places, None for everywhere."""
        return None if self.places is None else [str(place) for place in values(self.places)]

    @property
    def subject_values(self) -> list[object] | None:
        """The subjects as stored, None for everybody."""
        return None if self.subjects is None else values(self.subjects)


def values(sought: pa.Scalar | pa.Array) -> list[object]:
    """One stored value, or several, as Python has them."""
    found: list[object] = [sought.as_py()] if isinstance(sought, pa.Scalar) else sought.to_pylist()
    return found
