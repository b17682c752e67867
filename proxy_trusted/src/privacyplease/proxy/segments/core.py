"""The core of a segment in memory: who was where, from when until when, in about ten bytes a record.

Records are sorted by subject and start, so those of one subject are one slice, found by a binary search, and distinct
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

from privacyplease.proxy.records.columns import DURATION, TIMESTAMP, Mask
from privacyplease.proxy.records.timeline import Interval, Millis
from privacyplease.proxy.segments.pages import BASE, UNIT, Scale, dictionary, narrowed, unit_of

# Which records of a core: a slice, or their numbers, ascending.
RowSelection: TypeAlias = "slice | npt.NDArray[np.intp]"
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
        places: Its distinct places, ascending.
        place_array: The same as an Arrow array.
        codes: uintN[n], the place of each record, by its position in `places`.
        offsets: int64[subjects + 1], where the records of each subject begin, and the end of the last.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        """Opens a batch that `packed` made."""
        metadata = batch.schema.metadata
        self._scale = Scale(int(metadata[BASE]), int(metadata[UNIT]))
        subject, place = batch.column(_SUBJECT), batch.column(_PLACE)
        self.subjects: pa.Array = subject.dictionary
        self.offsets = np.searchsorted(subject.indices.to_numpy(), np.arange(len(self.subjects) + 1))
        self.places: list[str] = place.dictionary.to_pylist()
        self.place_array: pa.Array = place.dictionary
        # Copies, so that the rest of the page does not stay in memory.
        self.codes = place.indices.to_numpy().copy()
        self._begins = batch.column(_START).to_numpy().copy()
        self._ends = _ends(self._begins, batch.column(_DURATION).to_numpy())

    @classmethod
    def of(cls, columns: CoreColumns) -> Self:
        """The core of records that are sorted by subject and start."""
        return cls(packed(columns))

    def __len__(self) -> int:
        return len(self._begins)

    @property
    def nbytes(self) -> int:
        """Roughly how much memory it uses, in bytes."""
        arrays = (self.offsets, self.codes, self._begins, self._ends)
        return sum(array.nbytes for array in arrays) + int(self.subjects.nbytes)

    def rows_of(self, subject: object) -> slice:
        """The records of one subject, a stored value."""
        number = self._text_numbers.get(subject) if self._text_numbers is not None else _find(self._integers, subject)
        if number is None:
            return slice(0, 0)
        return slice(int(self.offsets[number]), int(self.offsets[number + 1]))

    def overlapping(self, interval: Interval, rows: slice = EVERY) -> Mask:
        """Which of the records share an instant with a closed interval: bool[n]."""
        base, unit = self._scale
        first, last = -((base - interval.start) // unit), (interval.end - base) // unit
        within: Mask = (self._begins[rows] <= last) & (self._ends[rows] >= first)
        return within

    def at(self, places: Sequence[str], rows: slice = EVERY) -> Mask:
        """Which of the records are at any of the places: bool[n]."""
        codes = [code for code in map(self._code, places) if code is not None]
        if len(codes) == 1:
            here: Mask = self.codes[rows] == codes[0]
            return here
        return np.isin(self.codes[rows], codes)

    def present(self, chosen: Mask | None) -> pa.Array:
        """The distinct subjects of the chosen records: bool[n], or None for all."""
        if chosen is None or not len(self):
            return self.subjects
        return self.subjects.filter(pa.array(np.logical_or.reduceat(chosen, self.offsets[:-1])))

    def owners(self, rows: RowSelection = EVERY) -> npt.NDArray[np.int64]:
        """The number in `subjects` of each record's subject: int64[n]."""
        if isinstance(rows, slice) and rows == EVERY:
            return np.repeat(np.arange(len(self.subjects)), np.diff(self.offsets))
        numbers = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        owners: npt.NDArray[np.int64] = np.searchsorted(self.offsets, numbers, side="right") - 1
        return owners

    def starts(self, rows: RowSelection = EVERY) -> Millis:
        """When each record starts, in ms: int64[n]."""
        return self._millis(self._begins[rows])

    def ends(self, rows: RowSelection = EVERY) -> Millis:
        """When each record ends, in ms: int64[n]."""
        return self._millis(self._ends[rows])

    def columns(self, rows: RowSelection = EVERY) -> CoreColumns:
        """Records in stored form."""
        starts = self.starts(rows)
        places = self.place_array.take(pa.array(self.codes[rows]))
        return CoreColumns(self.subjects.take(pa.array(self.owners(rows))), places, starts, self.ends(rows) - starts)

    def _millis(self, multiples: Unsigned) -> Millis:
        return multiples.astype(np.int64) * self._scale.unit + self._scale.base

    def _code(self, place: str) -> int | None:
        code = bisect_left(self.places, place)
        return code if code < len(self.places) and self.places[code] == place else None

    @cached_property
    def _integers(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.subjects.to_numpy(), np.int64)

    @cached_property
    def _text_numbers(self) -> dict[object, int] | None:
        """The number of each subject if subjects are text; None if they are integers, which are searched instead."""
        if pa.types.is_integer(self.subjects.type):
            return None
        return {subject: number for number, subject in enumerate(self.subjects.to_pylist())}


def packed(columns: CoreColumns) -> pa.RecordBatch:
    """Records that are sorted by subject and start, as the batch that a page holds."""
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
    """Starts and durations in their Arrow types."""
    return pa.array(columns.starts).cast(TIMESTAMP), pa.array(columns.durations).cast(DURATION)


def _ends(begins: Unsigned, durations: Unsigned) -> Unsigned:
    """The ends of the records: their begins plus their durations, in 32 bits if they fit."""
    longest = int(begins.max(initial=0)) + int(durations.max(initial=0))
    wide = np.uint32 if longest < 1 << 32 else np.uint64
    sums: Unsigned = np.add(begins, durations, dtype=wide)
    return sums


def _find(values: npt.NDArray[np.int64], wanted: object) -> int | None:
    position = int(np.searchsorted(values, wanted))  # type: ignore[call-overload]  # a stored value: here an integer
    return position if position < len(values) and values[position] == wanted else None
