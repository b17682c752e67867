"""The places of a simulated campus: access points on the floors of buildings, each building with a purpose."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["CampusMap", "Purpose"]

_ACCESS_POINTS = 8  # per building
_FLOORS = 4
_ZIPF_EXPONENT = 0.9  # the busiest place of a kind of building sees many times what the quietest does


class Purpose(IntEnum):
    """What a building is for."""

    TEACHING = 0
    OFFICES = 1
    CANTEEN = 2
    LIBRARY = 3
    DORMITORY = 4


# The purposes of consecutive buildings: most of a campus is lecture halls and offices.
_PURPOSES = np.array([
    Purpose.TEACHING, Purpose.OFFICES, Purpose.CANTEEN, Purpose.LIBRARY, Purpose.DORMITORY,
    Purpose.TEACHING, Purpose.OFFICES, Purpose.TEACHING,
])  # fmt: skip

_TITLES = ("Lecture hall", "Offices", "Canteen", "Library", "Dormitory")


@dataclass(frozen=True)
class CampusMap:
    """n places.

    Attributes:
        building: int64[n], the building of each place. Consecutive places in a building are neighbours.
        purpose: int64[n], the `Purpose` of each place's building.
        weight: float64[n], how popular each place is.
    """

    building: npt.NDArray[np.int64]
    purpose: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float64]

    @classmethod
    def generate(cls, places: int, rng: np.random.Generator) -> Self:
        """Generates a campus with this many places."""
        building = np.arange(places) // _ACCESS_POINTS
        rank = rng.permutation(places) + 1
        return cls(
            building,
            _PURPOSES[building % len(_PURPOSES)].astype(np.int64),
            np.asarray(rank**-_ZIPF_EXPONENT, np.float64),
        )

    def __len__(self) -> int:
        return len(self.building)

    def draw(self, purpose: Purpose | None, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draws places by popularity: int64[count]. From all if `purpose` is None, or no building has it."""
        matches = self.purpose == purpose
        pool = np.flatnonzero(matches if matches.any() else np.ones_like(matches))
        cumulative = np.cumsum(self.weight[pool])
        return np.asarray(pool[np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")])

    def neighbour(self, places: npt.NDArray[np.int64], steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The places some steps along the access points, staying within the building: int64[n]."""
        first = self.building[places] * _ACCESS_POINTS
        last = np.minimum(first + _ACCESS_POINTS, len(self)) - 1
        return np.asarray(np.clip(places + steps, first, last))

    def names(self) -> pa.StringArray:
        """string[n], the names of the access points."""
        return pa.array(
            [f"ap-{place // _ACCESS_POINTS + 1:02}-{place % _ACCESS_POINTS + 1}" for place in range(len(self))]
        )

    def locations(self) -> pa.StringArray:
        """string[n], as campus > building > floor."""
        titles = [
            f"{_TITLES[purpose]} {building + 1}" for building, purpose in zip(self.building, self.purpose, strict=True)
        ]
        floors = np.arange(len(self)) % _ACCESS_POINTS * _FLOORS // _ACCESS_POINTS
        return pa.array([f"Campus > {title} > Floor {floor}" for title, floor in zip(titles, floors, strict=True)])
