"""The core of a segment in memory: who was where, from when, until when, about ten bytes a record.

Records lie sorted by subject and start, so those of one subject are one slice, found by a binary search, and distinct
subjects are counted without looking at a name. Times are multiples of the segment's unit above its first start.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.records.columns import DURATION, TIMESTAMP
from privacyplease.proxy.records.timeline import Interval, Millis
from privacyplease.proxy.segments.pages import BASE, UNIT, Scale, dictionary, narrowed, unit_of

# Numbers of records of a core: a slice of them, or uint32[n], ascending.
Rows: TypeAlias = "slice | npt.NDArray[np.intp]"
Mask = npt.NDArray[np.bool_]
Unsigned = npt.NDArray[np.unsignedinteger[Any]]

_SUBJECT, _PLACE, _START, _DURATION = range(4)
EVERY = slice(None)


class CoreColumns(NamedTuple):
    """The four columns of n records in stored form: subjects, places, starts and durations (int64[n], ms)."""

    subjects: pa.Array
    places: pa.Array
    starts: Millis
    durations: Millis


class Core:
    """The records of one segment.

    Attributes:
        subjects: Its distinct subjects, ascending, in stored form.
        names: Its distinct places, ascending.
        places: The same as Python has them.
        codes: uintN[n], the place of each record.
        offsets: int64[subjects + 1], where the records of each subject begin, and the end of the last.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        """Takes a batch that `packed` made."""
        about = batch.schema.metadata
        self._scale = Scale(int(about[BASE]), int(about[UNIT]))
        subject, place = batch.column(_SUBJECT), batch.column(_PLACE)
        self.subjects: pa.Array = subject.dictionary
        self.offsets = np.searchsorted(subject.indices.to_numpy(), np.arange(len(self.subjects) + 1))
        self.places: list[str] = place.dictionary.to_pylist()
        self.names: pa.Array = place.dictionary
        # Copies, so that nothing else of the page stays in memory.
        self.codes = place.indices.to_numpy().copy()
        self._begins = batch.column(_START).to_numpy().copy()
        self._ends = _widest(self._begins, batch.column(_DURATION).to_numpy())

    @classmethod
    def of(cls, columns: CoreColumns) -> Self:
        """Of records that are sorted by subject and start."""
        return cls(packed(columns))

    def __len__(self) -> int:
        return len(self._begins)

    @property
    def nbytes(self) -> int:
        """What it takes in memory, in bytes, about."""
        arrays = (self.offsets, self.codes, self._begins, self._ends)
        return sum(array.nbytes for array in arrays) + int(self.subjects.nbytes)

    def rows_of(self, subject: object) -> slice:
        """The records of one subject, a stored value."""
        at = self._numbers.get(subject) if self._numbers is not None else _found(self._integers, subject)
        return slice(0, 0) if at is None else slice(int(self.offsets[at]), int(self.offsets[at + 1]))

    def overlapping(self, interval: Interval, rows: slice = EVERY) -> Mask:
        """Which of some records share an instant with a closed interval: bool[n]."""
        base, unit = self._scale
        first, last = -((base - interval.start) // unit), (interval.end - base) // unit
        within: Mask = (self._begins[rows] <= last) & (self._ends[rows] >= first)
        return within

    def at(self, places: Sequence[str], rows: slice = EVERY) -> Mask:
        """Which of some records are at any of the places: bool[n]."""
        known = [code for code in map(self._code, places) if code is not None]
        if len(known) == 1:
            here: Mask = self.codes[rows] == known[0]
            return here
        return np.isin(self.codes[rows], known)

    def present(self, chosen: Mask | None) -> pa.Array:
        """The distinct subjects of chosen records, bool[n] or None for all."""
        if chosen is None or not len(self):
            return self.subjects
        return self.subjects.filter(pa.array(np.logical_or.reduceat(chosen, self.offsets[:-1])))

    def owners(self, rows: Rows = EVERY) -> npt.NDArray[np.int64]:
        """The number in `subjects` of each record's subject: int64[n]."""
        if isinstance(rows, slice) and rows == EVERY:
            return np.repeat(np.arange(len(self.subjects)), np.diff(self.offsets))
        numbers = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        owners: npt.NDArray[np.int64] = np.searchsorted(self.offsets, numbers, side="right") - 1
        return owners

    def starts(self, rows: Rows = EVERY) -> Millis:
        """When each record starts, in ms: int64[n]."""
        return self._millis(self._begins[rows])

    def ends(self, rows: Rows = EVERY) -> Millis:
        """When each record ends, in ms: int64[n]."""
        return self._millis(self._ends[rows])

    def columns(self, rows: Rows = EVERY) -> CoreColumns:
        """Records in stored form."""
        starts = self.starts(rows)
        places = self.names.take(pa.array(self.codes[rows]))
        return CoreColumns(self.subjects.take(pa.array(self.owners(rows))), places, starts, self.ends(rows) - starts)

    def _millis(self, multiples: Unsigned) -> Millis:
        return multiples.astype(np.int64) * self._scale.unit + self._scale.base

    def _code(self, place: str) -> int | None:
        at = bisect_left(self.places, place)
        return at if at < len(self.places) and self.places[at] == place else None

    @cached_property
    def _integers(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.subjects.to_numpy(), np.int64)

    @cached_property
    def _numbers(self) -> dict[object, int] | None:
        """The number of each subject that is text; None where subjects are numbers, among which one is searched."""
        if pa.types.is_integer(self.subjects.type):
            return None
        return {subject: number for number, subject in enumerate(self.subjects.to_pylist())}


def packed(columns: CoreColumns) -> pa.RecordBatch:
    """Records that are sorted by subject and start as the batch that a page holds."""
    subjects, places = dictionary(columns.subjects), dictionary(columns.places)
    base = int(columns.starts.min()) if len(columns.starts) else 0
    unit = unit_of(columns.starts - base, columns.durations)
    arrays = [
        subjects,
        places,
        narrowed(columns.starts, Scale(base, unit)),
        narrowed(columns.durations, Scale(0, unit)),
    ]
    names = ("subject", "place", "start", "duration")
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    schema = pa.schema(fields, metadata={BASE: str(base).encode(), UNIT: str(unit).encode()})
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def timed(columns: CoreColumns) -> tuple[pa.Array, pa.Array]:
    """Starts and durations as Arrow has them."""
    return pa.array(columns.starts).cast(TIMESTAMP), pa.array(columns.durations).cast(DURATION)


def _widest(begins: Unsigned, durations: Unsigned) -> Unsigned:
    """The sums, in 32 bits if they fit."""
    longest = int(begins.max(initial=0)) + int(durations.max(initial=0))
    wide = np.uint32 if longest < 1 << 32 else np.uint64
    sums: Unsigned = np.add(begins, durations, dtype=wide)
    return sums


def _found(values: npt.NDArray[np.int64], wanted: object) -> int | None:
    at = int(np.searchsorted(values, wanted))  # type: ignore[call-overload]  # a stored value, which is a number here
    return at if at < len(values) and values[at] == wanted else None
