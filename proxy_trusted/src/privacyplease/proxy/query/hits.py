"""Hits: the records of one segment that belong to an answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.records.columns import Mask
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Millis
from privacyplease.proxy.segments.core import EVERY, Core, timed


class Hit(NamedTuple):
    """Records of one segment, as codes: names are looked up only where they are needed.

    Attributes:
        core: The segment's core.
        span: The records that were considered: all, or those of one subject.
        mask: Which of them belong to the answer: bool[n]; None for all.
        rest: The segment's other columns, for all its records; None unless the question asked for some.
    """

    core: Core
    span: slice
    mask: Mask | None
    rest: pa.Table | None = None

    @property
    def rows(self) -> slice | npt.NDArray[np.intp]:
        """The numbers of the records."""
        if self.mask is None:
            return self.span
        return np.flatnonzero(self.mask) + (self.span.start or 0)

    def __len__(self) -> int:
        if self.mask is not None:
            return int(self.mask.sum())
        return len(range(*self.span.indices(len(self.core))))

    @property
    def subjects(self) -> pa.Array:
        """The distinct subjects."""
        if self.span == EVERY:
            return self.core.present(self.mask)
        return self.core.subjects.take(pa.array(np.unique(self.core.owners(self.rows))))

    @property
    def starts(self) -> Millis:
        """When each record starts, in ms: int64[n]."""
        return self.core.starts(self.rows)

    @property
    def ends(self) -> Millis:
        """When each record ends, in ms: int64[n]."""
        return self.core.ends(self.rows)

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """The number in `core.subjects` of each record's subject: int64[n]."""
        return self.core.owners(self.rows)

    def table(self, dataset: Dataset, columns: tuple[str, ...] = ()) -> pa.Table:
        """The records in stored form: the core's columns and further ones, which are null if the segment lacks them."""
        rows = self.rows
        core = self.core.columns(rows)
        starts, durations = timed(core)
        named = dict(zip(dataset.required, (core.subjects, core.places, starts, durations), strict=True))
        if columns and self.rest is not None:
            number = np.arange(len(self.core))[rows]
            rest = self.rest.select([name for name in columns if name in self.rest.column_names]).take(pa.array(number))
            named |= {name: rest[name] for name in rest.column_names}
        schema = pa.schema([dataset.schema.field(name) for name in (*dataset.required, *columns)])
        filled = [named[field.name] if field.name in named else pa.nulls(len(self), field.type) for field in schema]
        return pa.table(filled, schema=schema)
