"""The places of a simulated campus: access points on floors of buildings, each building with a purpose."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["Campus", "Purpose"]

_ACCESS_POINTS = 8  # a building
_FLOORS = 4
_DECLINE = 0.9  # exponent of Zipf's law: the busiest place of a building kind sees many times what the quietest does


class Purpose(IntEnum):
    """What a building is for."""

    TEACHING = 0
    OFFICES = 1
    CANTEEN = 2
    LIBRARY = 3
    DORMITORY = 4


# The purposes of buildings, in turn: lectures and offices are most of a campus.
_TURNS = np.array([
    Purpose.TEACHING, Purpose.OFFICES, Purpose.CANTEEN, Purpose.LIBRARY, Purpose.DORMITORY,
    Purpose.TEACHING, Purpose.OFFICES, Purpose.TEACHING,
])  # fmt: skip

_TITLES = ("Lecture hall", "Offices", "Canteen", "Library", "Dormitory")


@dataclass(frozen=True)
class Campus:
    """n places.

    Attributes:
        building: int64[n], the building of each place. Its places are neighbours in the order of their numbers.
        purpose: int64[n], the `Purpose` of its building.
        weight: float64[n], how popular it is.
    """

    building: npt.NDArray[np.int64]
    purpose: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]

    @classmethod
    def built(cls, places: int, rng: np.random.Generator) -> Self:
        """Builds a campus of so many places."""
        building = np.arange(places) // _ACCESS_POINTS
        rank = rng.permutation(places) + 1
        return cls(building, _TURNS[building % len(_TURNS)].astype(np.int64), np.asarray(rank**-_DECLINE, np.float64))

    def __len__(self) -> int:
        return len(self.building)

    def draw(self, purpose: Purpose | None, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draws places by popularity: int64[count]. From all for None, and where the campus has none such."""
        fit = self.purpose == purpose
        pool = np.flatnonzero(fit if fit.any() else np.ones_like(fit))
        share = np.cumsum(self.weight[pool])
        return np.asarray(pool[np.searchsorted(share, rng.random(count) * share[-1], side="right")])

    def neighbour(self, places: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Walks some steps along the access points, but not out of the building: int64[n]."""
        first = self.building[places] * _ACCESS_POINTS
        last = np.minimum(first + _ACCESS_POINTS, len(self)) - 1
        return np.asarray(np.clip(places + steps, first, last))

    def names(self) -> pa.StringArray:
        """string[n], the names of the access points."""
        return pa.array(
            [f"ap-{each // _ACCESS_POINTS + 1:02}-{each % _ACCESS_POINTS + 1}" for each in range(len(self))]
        )

    def locations(self) -> pa.StringArray:
        """string[n], as campus > building > floor."""
        titles = [
            f"{_TITLES[purpose]} {building + 1}" for building, purpose in zip(self.building, self.purpose, strict=True)
        ]
        floors = np.arange(len(self)) % _ACCESS_POINTS * _FLOORS // _ACCESS_POINTS
        return pa.array([f"Campus > {title} > Floor {floor}" for title, floor in zip(titles, floors, strict=True)])
