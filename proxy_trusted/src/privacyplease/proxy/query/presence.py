"""Where somebody was: the records that answer a question, each once, in its longest form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import longest
from privacyplease.proxy.segments.core import CoreColumns, timed

# A hit holds the opened core of its segment, so that no more of them than this are in memory at a time.
_HITS_AT_ONCE = 64


def records(hits: Iterable[Hit], dataset: Dataset, columns: tuple[str, ...] = ()) -> pa.Table:
    """The records in stored form, ascending by (start, subject, place): what makes a record, and further columns."""
    schema = pa.schema([dataset.schema.field(name) for name in (*dataset.required, *columns)])
    if columns:
        found = [hit.table(dataset, columns) for hit in hits]
    else:
        found = [_together(some, schema) for some in _batched(hits, _HITS_AT_ONCE)]
    return longest(pa.concat_tables([schema.empty_table(), *found]), dataset)


def _together(hits: Sequence[Hit], schema: pa.Schema) -> pa.Table:
    """Records of several segments as one table: Arrow takes as long for a few values as for many."""
    subjects = _taken([(hit.core.subjects, hit.owners) for hit in hits])
    places = _taken([(hit.core.names, hit.core.codes[hit.rows]) for hit in hits])
    starts, ends = (np.concatenate([getattr(hit, name) for hit in hits]) for name in ("starts", "ends"))
    times = timed(CoreColumns(subjects, places, starts, ends - starts))
    return pa.table([subjects, places, *times], schema=schema)


def _batched(hits: Iterable[Hit], size: int) -> Iterator[list[Hit]]:
    """The hits in lists of at most `size`."""
    rest = iter(hits)
    while some := list(islice(rest, size)):
        yield some


def _taken(parts: Sequence[tuple[pa.Array, npt.NDArray[np.integer[Any]]]]) -> pa.Array:
    """Values by their numbers in a dictionary of each part."""
    begins = np.cumsum([0, *(len(dictionary) for dictionary, _ in parts)])[:-1].tolist()
    numbers = [begin + codes.astype(np.int64) for begin, (_, codes) in zip(begins, parts, strict=True)]
    return pa.concat_arrays([dictionary for dictionary, _ in parts]).take(pa.array(np.concatenate(numbers)))
