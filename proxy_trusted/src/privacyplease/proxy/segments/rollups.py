"""Roll-ups: who was at each place during a segment, so that people are counted over long times without its records.

A segment in which every record starts inside a closed interval overlaps it with every record, and its roll-up says all
that a count asks of it: a theta sketch of the subjects at each place, and one of all. Such a sketch is the set of its
hashes while these are at most 65,536, and so exact, and beyond that a sample of them; sketches are united as sets are
(Dasgupta et al., "A Framework for Estimating Stream Expression Cardinalities", ICDT 2016; Apache DataSketches).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from datasketches import compact_theta_sketch, theta_union, update_theta_sketch

from privacyplease.proxy.segments.core import Core

# A sketch is exact up to 2^16 subjects, but that two of so many have one hash of 63 bits, with a probability of 2^-32.
# Beyond that the standard error is 2^-8: 0.8 % either way at 95 %.
LOG_SIZE = 16
DEVIATIONS = 2

# A smaller segment has none: its core is read as fast. It must not depend on what is in it.
LEAST_RECORDS = 32_768

_SCHEMA = pa.schema([("place", pa.string()), ("sketch", pa.binary())])


class Count(NamedTuple):
    """How many distinct subjects there were.

    Attributes:
        devices: The number.
        bounds: Within what the true number is, at 95 %; None: it is exact.
    """

    devices: int
    bounds: tuple[int, int] | None = None


class Rollup:
    """The roll-up of one segment, opened."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        """Takes a batch that `rolled_up` made."""
        self._sketches: dict[str | None, bytes] = dict(
            zip(batch["place"].to_pylist(), batch["sketch"].to_pylist(), strict=True)
        )

    def __len__(self) -> int:
        return len(self._sketches)

    def sketches(self, places: Collection[str] | None) -> Iterable[compact_theta_sketch]:
        """The sketches of some places, of which the segment may have none; of all subjects for None."""
        chosen = (None,) if places is None else places
        found = (self._sketches.get(place) for place in chosen)
        return (compact_theta_sketch.deserialize(octets) for octets in found if octets is not None)


def serve(records: int) -> bool:
    """Whether a settled segment of so many records has a roll-up."""
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


def united(rollups: Iterable[Rollup], places: Collection[str] | None, others: npt.NDArray[np.uint64]) -> Count:
    """How many distinct subjects some roll-ups have, and others by their hashes, at some places; None: anywhere."""
    union = theta_union(LOG_SIZE)
    for rollup in rollups:
        for each in rollup.sketches(places):
            union.update(each)
    if len(others):
        union.update(sketch(others))
    people = union.get_result()
    if not people.is_estimation_mode():
        return Count(round(people.get_estimate()))
    bounds = round(people.get_lower_bound(DEVIATIONS)), round(people.get_upper_bound(DEVIATIONS))
    return Count(round(people.get_estimate()), bounds)


def sketch(hashes: npt.NDArray[np.uint64]) -> compact_theta_sketch:
    """The sketch of some hashes: uint64[n]."""
    made = update_theta_sketch(LOG_SIZE)
    for value in hashes.view(np.int64).tolist():
        made.update(value)
    return made.compact()
