"""How long people stay, as functions over arrays: lengths of sessions in classes, new and returning subjects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from privacyplease.proxy.query.hits import Hit
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.tables import longest, spans
from privacyplease.proxy.records.timeline import Interval


class Dwell(NamedTuple):
    """How long sessions last, and whose they are.

    Attributes:
        sessions: Sessions in each class of length, one class more than there are bounds.
        median: The length that half of the sessions do not exceed, in ms; None without any session.
        returning_devices: Distinct subjects that were there before, too.
        new_devices: Distinct subjects that were not.
    """

    sessions: list[int]
    median: int | None
    returning_devices: int
    new_devices: int


def dwell(hits: Iterable[Hit], dataset: Dataset, interval: Interval, bounds: Sequence[int]) -> Dwell:
    """Sorts the sessions that overlap an interval by length, and their subjects by whether they were there before.

    Args:
        hits: Records that overlap the interval or the time before it in which to look for returning subjects.
        dataset: Their data set.
        interval: Whose sessions count.
        bounds: Where classes of length begin, in ms, ascending.
    """
    earlier, within = _divided(hits, dataset, interval)
    sessions = longest(within, dataset)
    lengths = np.sort(sessions[dataset.duration].cast(pa.int64()).to_numpy())
    classes = np.bincount(np.searchsorted(bounds, lengths, side="right"), minlength=len(bounds) + 1)
    subjects = pc.count_distinct(sessions[dataset.subject]).as_py()
    returning = _returning(earlier, sessions, dataset)
    median = int(lengths[(len(lengths) - 1) // 2]) if len(lengths) else None
    return Dwell(classes.tolist(), median, returning, subjects - returning)


def _divided(hits: Iterable[Hit], dataset: Dataset, interval: Interval) -> tuple[pa.Table, pa.Table]:
    """The records that end before the interval, and those that overlap it."""
    empty = pa.schema([dataset.schema.field(name) for name in dataset.required]).empty_table()
    earlier, within = [empty], [empty]
    for hit in hits:
        records = hit.table(dataset)
        ended = spans(records, dataset)[1] < interval.start
        earlier.append(records.filter(pa.array(ended)))
        within.append(records.filter(pa.array(~ended)))
    return pa.concat_tables(earlier), pa.concat_tables(within)


def _returning(earlier: pa.Table, sessions: pa.Table, dataset: Dataset) -> int:
    """How many subjects of the sessions also had another session earlier: a shorter form of the same is none."""
    candidates = earlier.filter(pc.is_in(earlier[dataset.subject], pc.unique(sessions[dataset.subject])))
    keys = list(dataset.identity)
    others = candidates.select(keys).join(sessions.select(keys), keys, join_type="left anti")
    return int(pc.count_distinct(others[dataset.subject]).as_py())
