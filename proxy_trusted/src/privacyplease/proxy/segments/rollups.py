"""Roll-ups: who was at each place during a segment, so that long counts need not read its records.

If every record of a segment starts inside a closed interval, every record overlaps the interval, and the roll-up has
all that a count needs: a theta sketch of the subjects at each place, and one of all. Up to 65,536 hashes, a sketch is
the set of them and so exact; beyond that it is a sample. Sketches are united as sets are (Dasgupta et al., "A
Framework for Estimating Stream Expression Cardinalities", ICDT 2016; Apache DataSketches).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

from privacyplease.proxy.segments.core import Core

# A sketch is exact up to 2^16 subjects, unless two of them share a hash of 63 bits: with that many, the probability is
# 2^-32. Beyond that the standard error is 2^-8: 0.8 % either way at 95 %.
LOG_SIZE = 16
DEVIATIONS = 2

# A smaller segment has no roll-up: its core is read just as fast. Whether it has one must not depend on its content.
LEAST_RECORDS = 32_768

_SCHEMA = pa.schema([("place", pa.string()), ("sketch", pa.binary())])


class Count(NamedTuple):
    """How many distinct subjects there were.

    Attributes:
        devices: The number.
        bounds: The 95 % confidence interval; None if the number is exact.
    """

    devices: int
    bounds: tuple[int, int] | None = None


class Rollup:
    """The roll-up of one segment, opened."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        """Opens a batch that `rolled_up` made."""
        self._sketches: dict[str | None, bytes] = dict(
            zip(batch["place"].to_pylist(), batch["sketch"].to_pylist(), strict=True)
        )

    def __len__(self) -> int:
        return len(self._sketches)

    def sketches(self, places: Collection[str] | None) -> Iterable[compact_theta_sketch]:
        """The sketches of those of the places that the segment has; for None, the sketch of all subjects."""
        keys = (None,) if places is None else places
        sketches = (self._sketches.get(key) for key in keys)
        return (compact_theta_sketch.deserialize(octets) for octets in sketches if octets is not None)


def worthwhile(records: int) -> bool:
    """Whether a settled segment with this number of records has a roll-up."""
    return records >= LEAST_RECORDS


def rolled_up(core: Core, hashes: npt.NDArray[np.uint64]) -> pa.RecordBatch:
    """The roll-up of a segment, given the hash of each of its subjects: uint64[subjects]."""
    pairs = np.unique(core.codes.astype(np.int64) * len(hashes) + core.owners())
    places, who = pairs // len(hashes), pairs % len(hashes)
    bounds = np.searchsorted(places, np.arange(len(core.places) + 1)).tolist()
    rows: list[tuple[str | None, bytes]] = [(None, sketch(hashes).serialize())]
    for number, place in enumerate(core.places):
        rows.append((place, sketch(hashes[who[bounds[number] : bounds[number + 1]]]).serialize()))
    return pa.RecordBatch.from_arrays([pa.array(column) for column in zip(*rows, strict=True)], schema=_SCHEMA)


def count_distinct(rollups: Iterable[Rollup], places: Collection[str] | None, others: npt.NDArray[np.uint64]) -> Count:
    """Counts distinct subjects over roll-ups and hashes of further subjects.

    Args:
        rollups: The roll-ups.
        places: The places whose subjects count; None for all.
        others: The hashes of further subjects: uint64[n].
    """
    union = theta_union(LOG_SIZE)
    for rollup in rollups:
        for place_sketch in rollup.sketches(places):
            union.update(place_sketch)
    if len(others):
        union.update(sketch(others))
    subjects = union.get_result()
    if not subjects.is_estimation_mode():
        return Count(round(subjects.get_estimate()))
    bounds = round(subjects.get_lower_bound(DEVIATIONS)), round(subjects.get_upper_bound(DEVIATIONS))
    return Count(round(subjects.get_estimate()), bounds)


def sketch(hashes: npt.NDArray[np.uint64]) -> compact_theta_sketch:
    """The sketch of hashes: uint64[n]."""
    growing = update_theta_sketch(LOG_SIZE)
    for value in hashes.view(np.int64).tolist():
        growing.update(value)
    return growing.compact()
